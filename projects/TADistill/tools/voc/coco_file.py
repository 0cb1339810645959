"""COCO JSON files, read and written."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import ConversionError


def read_json(path: Path) -> dict:
    """A COCO data set.

    Raises:
        ConversionError: if it is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for section in ("images", "annotations", "categories"):
            if not all("id" in entry for entry in content[section]):
                raise ValueError(f"not all {section} have an id")
    except OSError as error:
        raise ConversionError(f"{path} cannot be read: {error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        kind = type(error).__name__
        raise ConversionError(f"{path} is no COCO data set: {kind}: {error}") from error
    return content


def write_json(content: dict, path: Path) -> None:
    """Writes a file that is either whole or not there.

    Raises:
        ConversionError: if it cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(content), encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ConversionError(f"{path} cannot be written: {error}") from error


def refuse_existing(path: Path) -> None:
    """Raises a ConversionError if something is there."""
    if path.exists():
        raise ConversionError(f"{path} exists already; remove it, or choose another name")


def next_ids(content: Mapping, classes: Sequence[str], path: Path) -> tuple[int, int]:
    """The first image id and annotation id that are free after those of another split.

    Raises:
        ConversionError: if the other split has other classes, or ids that are no numbers.
    """
    others = [category["name"] for category in content["categories"]]
    if others != list(classes):
        raise ConversionError(f"{path} has other classes, or the same in another order: {others}")
    try:
        image_id, annotation_id = (
            1 + max((entry["id"] for entry in content[section]), default=0)
            for section in ("images", "annotations")
        )
    except TypeError as error:
        raise ConversionError(f"{path} has ids that are no numbers: none comes after") from error
    return image_id, annotation_id
