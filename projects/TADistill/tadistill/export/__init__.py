"""Out of the distillation, into the world: the plain student, its files, its ONNX graph."""

from .student import export_student, student_config

__all__ = ["export_student", "student_config"]
