"""A distilled student."""

import pytest
from distilled import distilled


@pytest.fixture
def model(teacher_files):
    """A distilled student, at w = 1."""
    return distilled(teacher_files)
