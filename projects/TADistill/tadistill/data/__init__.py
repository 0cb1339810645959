"""Data sets in COCO format: registered, examined, and loaded from any iteration on."""

from .annotations import examine_annotations
from .loader import ResumableLoader
from .records import check_records, read_records
from .registration import add_registration, register_coco
from .use import Use

__all__ = [
    "ResumableLoader",
    "Use",
    "add_registration",
    "check_records",
    "examine_annotations",
    "read_records",
    "register_coco",
]
