"""The tools' packages can be imported as their scripts import them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "projects/TADistill/tools"))
