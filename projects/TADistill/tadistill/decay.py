"""w(t): how the weight of the distillation terms falls from 1 to 0 (paper, abstract).

A schedule is a pure function of the progress ``t / t_max`` in [0, 1], so that a resumed
training finds the weight where it was.
"""

import math
from collections.abc import Callable, Sequence

from .errors import ConfigError

Schedule = Callable[[float], float]


def linear(progress: float) -> float:
    """``1 - t / t_max``."""
    return 1.0 - progress


def cosine(progress: float) -> float:
    """``(1 + cos(pi t / t_max)) / 2``; exactly 0 at the end."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def constant(progress: float) -> float:
    """1 throughout: distillation without decay."""
    return 1.0


def step(steps: Sequence[float], gamma: float) -> Schedule:
    """``gamma ** k`` once ``k`` of the ``steps`` (fractions of the training) have been reached."""

    def schedule(progress: float) -> float:
        return float(gamma ** sum(progress >= s for s in steps))

    return schedule


def build_schedule(name: str, steps: Sequence[float] = (), gamma: float = 0.1) -> Schedule:
    """The schedule that ``MODEL.TADISTILL.DECAY`` describes.

    Raises:
        ConfigError: naming the config key, for an unknown name, for steps outside (0, 1) or not
            increasing, or for a ``gamma`` outside [0, 1].
    """
    key = "MODEL.TADISTILL.DECAY"
    plain = {"linear": linear, "cosine": cosine, "constant": constant}
    if name in plain:
        return plain[name]
    if name != "step":
        raise ConfigError(
            f"{key}.SCHEDULE is {name!r}; choose one of 'linear', 'cosine', 'step', 'constant'"
        )
    steps = tuple(steps)
    numbers = bool(steps) and all(isinstance(s, (int, float)) for s in steps)
    if not numbers or not all(0 < s < 1 for s in steps) or list(steps) != sorted(set(steps)):
        raise ConfigError(
            f"{key}.STEPS is {list(steps)!r}; give increasing fractions of the training, "
            "each between 0 and 1, as in [0.6667, 0.8889]"
        )
    if not 0 <= gamma <= 1:
        raise ConfigError(f"{key}.GAMMA is {gamma!r}; it must be in [0, 1]")
    return step(steps, gamma)


def decay_weight(schedule: Schedule, iteration: int, max_iter: int) -> float:
    """w(t) at ``iteration`` of a training of ``max_iter`` iterations.

    ``t`` runs from 0 to ``t_max = max_iter - 1``, so that the first step has ``w = 1`` and the
    last one the schedule's end (0 for linear and cosine).
    """
    t_max = max(max_iter - 1, 1)
    return schedule(min(max(iteration / t_max, 0.0), 1.0))
