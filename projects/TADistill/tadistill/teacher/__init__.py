"""The teacher: found, built, loaded, checked against the student, and frozen."""

from .build import build_teacher
from .config import teacher_config, teacher_weights
from .frozen import FrozenTeacher
from .trained import trained_teacher

__all__ = [
    "FrozenTeacher",
    "build_teacher",
    "teacher_config",
    "teacher_weights",
    "trained_teacher",
]
