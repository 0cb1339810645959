"""Random numbers that depend on the seed and on the place in the training, not on what ran before.

Whatever draws random numbers in between (an evaluation, a second data loader, a resume, more data
loading workers) then changes nothing in the steps that follow.
"""

import contextlib
import random

import numpy as np
import torch
from detectron2.engine import HookBase
from detectron2.utils import comm

# Which of a training's random numbers a key is for. A key of the seed alone, by which the images
# are ordered, gives the numbers of process 0's first step, as NumPy fills keys up with zeros: of no
# consequence, and to change it would make all trainings other ones.
STEPS, IMAGES = 0, 1


def _words(key: tuple[int, ...]) -> list[int]:
    return [int(word) for word in np.random.SeedSequence(key).generate_state(3)]


@contextlib.contextmanager
def seeded(*key: int):
    """Within, Python's, NumPy's and torch's CPU random numbers are those of ``key``; afterwards
    they go on where they were.

    Args:
        key: non-negative integers.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    for_python, for_numpy, for_torch = _words(key)
    random.seed(for_python)
    np.random.seed(for_numpy)
    torch.default_generator.manual_seed(for_torch)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


class SeedStepsHook(HookBase):
    """Seeds Python, NumPy and torch, on all devices, before each step, by (seed, rank, iteration).

    A step samples anchors and proposals at random. So seeded, the steps of a resumed training are
    those of an uninterrupted one without a random state in the checkpoint, which would be the main
    process's alone.
    """

    def before_step(self):
        for_python, for_numpy, for_torch = _words(
            (self.trainer.seed, STEPS, comm.get_rank(), self.trainer.iter)
        )
        random.seed(for_python)
        np.random.seed(for_numpy)
        torch.manual_seed(for_torch)
