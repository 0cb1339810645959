"""Runs ``train_net.py``: some trainings at once, with their progress shown, resumed where they
were interrupted. What the demo and the ablations share.
"""

from .display import Display
from .repository import REPO
from .run import Run
from .schedule import cores, run_all

__all__ = ["REPO", "Display", "Run", "cores", "run_all"]
