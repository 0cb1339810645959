"""Data sets in COCO format: registered, examined, and loaded from any iteration on."""

from .annotations import examine_annotations
from .loader import ResumableLoader
from .registration import register_coco
from .use import Use

__all__ = ["ResumableLoader", "Use", "examine_annotations", "register_coco"]
