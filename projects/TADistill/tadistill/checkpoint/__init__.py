"""Checkpoints on the disk."""

from .training import TrainingCheckpointer

__all__ = ["TrainingCheckpointer"]
