"""A JSON file in COCO's format, read, with the form that Detectron2 takes for granted."""

import json
from collections.abc import Callable, Mapping

import numpy as np
from detectron2.utils.file_io import PathManager

from ..errors import ConfigError, first_few


def read_coco_json(key: str, name: str, json_file: str) -> dict:
    """The content of the file.

    Args:
        key, name: the config key and the data set that it names, for the error message.
        json_file: a path, or an address that Detectron2 can open.

    Raises:
        ConfigError: if it is no JSON, or no object.
    """
    try:
        with PathManager.open(json_file) as f:
            content = json.load(f)
        if not isinstance(content, dict):
            raise TypeError(f"it holds a {type(content).__name__}, not an object")
        return content
    except (OSError, ValueError, TypeError, RecursionError) as e:
        raise ConfigError(
            f"{key}: {name} cannot be read from {json_file}: {type(e).__name__}: {e}"
        ) from e


def check_form(where: str, content: Mapping, without_boxes: bool = False) -> None:
    """Checks that there are images, annotations and categories, each with the keys that it needs.

    Args:
        where: config key, data set and file, for the error message.
        content: what :func:`read_coco_json` returned.
        without_boxes: whether the list of annotations may be empty, or not there.

    Raises:
        ConfigError: naming the key that is wrong, and the places in the list where it is.
    """
    for section, form in FORM.items():
        entries = content.get(section, [])
        if section == "annotations" and without_boxes and entries == []:
            continue
        if not isinstance(entries, list) or not entries:
            raise ConfigError(f"{where} has no {section}: it needs a list of them, {section!r}")
        for field, (holds, expected) in form.items():
            wrong = [
                place
                for place, entry in enumerate(entries)
                if not isinstance(entry, dict) or not holds(entry.get(field))
            ]
            if wrong:
                raise ConfigError(
                    f"{where}: {len(wrong)} of {len(entries)} {section} have no {field!r} that is "
                    f"{expected} (counted from 0: {first_few(wrong)})"
                )


def check_scorable(where: str, content: Mapping) -> None:
    """pycocotools asks for more than Detectron2's loader, and only after the training.

    Raises:
        ConfigError: if there are no annotations, or some lack a key, or have in it what cannot be
            counted with.
    """
    annotations = content.get("annotations")
    if not annotations:
        raise ConfigError(f"{where} has no annotations: nothing can be scored")
    for field, (holds, expected) in SCORED.items():
        lacking = sum(not holds(annotation.get(field)) for annotation in annotations)
        if lacking:
            raise ConfigError(
                f"{where}: {lacking} of {len(annotations)} annotations have no {field!r} that is "
                f"{expected}, which COCO's evaluation needs"
            )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_flag(value: object) -> bool:
    return isinstance(value, (bool, int, float)) and value in (0, 1)


def _counts_as_number(value: object) -> bool:
    try:
        return np.isfinite(float(value))  # as NumPy takes it
    except (TypeError, ValueError):
        return False


def _is_id(value: object) -> bool:
    return isinstance(value, (int, float, str))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_size(value: object) -> bool:
    return _is_number(value) and 0 < value < float("inf")


def _is_box(value: object) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))


_ID = (_is_id, "a number or a string")
_TEXT = (_is_text, "a string")
_SIZE = (_is_size, "a number of pixels")
_BOX = (_is_box, "four numbers, [x, y, width, height]")

# What Detectron2 reads of each entry.
FORM: dict[str, dict[str, tuple[Callable[[object], bool], str]]] = {
    "images": {"id": _ID, "file_name": _TEXT, "width": _SIZE, "height": _SIZE},
    "annotations": {"id": _ID, "image_id": _ID, "category_id": _ID, "bbox": _BOX},
    "categories": {"id": _ID, "name": _TEXT},
}

# What pycocotools reads of each annotation besides.
SCORED: dict[str, tuple[Callable[[object], bool], str]] = {
    "iscrowd": (_is_flag, "0 or 1"),
    "area": (_is_number, "a number (width times height of the box, or of pixels)"),
    "id": (_counts_as_number, "a number"),
}
