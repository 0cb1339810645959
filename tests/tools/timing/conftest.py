"""A pair of tiny models, as benchmark.py measures them."""

import pytest
import torch
from timing.pair import Shape, build_pair
from timing.rounds import Clock
from tiny import student_cfg


@pytest.fixture
def clock():
    return Clock(torch.device("cpu"))


def _cfg(teacher_files):
    return student_cfg(teacher_files, "SOLVER.BASE_LR", 0.0)


@pytest.fixture
def cfg(teacher_files):
    return _cfg(teacher_files)


@pytest.fixture(scope="session")
def pair(teacher_files, tmp_path_factory):
    shape = Shape(images=2, side=64, boxes=3)
    return build_pair(_cfg(teacher_files), shape, tmp_path_factory.mktemp("pair"))
