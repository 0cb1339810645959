"""Data sets in COCO format: registered, examined, and loaded from any iteration on."""

from .annotations import examine_annotations
from .loader import ResumableLoader
from .registration import register_coco

__all__ = ["ResumableLoader", "examine_annotations", "register_coco"]
