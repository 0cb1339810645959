"""Weights and checkpoints: read without running anything that is in them, written whole."""

from .checkpointer import TADistillCheckpointer
from .errors import UnreadableFileError, UnsafeFileError
from .mismatch import describe_mismatch
from .places import fetched
from .reading import read_checkpoint
from .training import TrainingCheckpointer

__all__ = [
    "TADistillCheckpointer",
    "TrainingCheckpointer",
    "UnreadableFileError",
    "UnsafeFileError",
    "describe_mismatch",
    "fetched",
    "read_checkpoint",
]
