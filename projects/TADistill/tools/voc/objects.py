"""The objects of one XML, with their boxes as COCO has them."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from .corners import read_corners
from .errors import ConversionError
from .notices import Notices
from .rules import Rules


class Labelled(NamedTuple):
    """An object that is kept: its box is XYWH, absolute pixels, counted from 0."""

    category_id: int
    box: tuple[float, float, float, float]
    is_crowd: int


def labelled_objects(
    root: ET.Element,
    path: Path,
    size: tuple[int, int],
    category_ids: Mapping[str, int],
    rules: Rules,
    notices: Notices,
) -> Iterator[Labelled]:
    """The objects of the XML ``path`` whose image has the ``size`` (width, height), in its order.

    Raises:
        ConversionError: naming the file and the object that cannot be converted.
    """
    for place, entry in enumerate(root.findall("object"), start=1):
        name = (entry.findtext("name") or "").strip()
        if not name:
            raise ConversionError(f"{path}: object {place} has no <name>")
        where = f"{path}: object {place} ({name})"
        if name not in category_ids:
            if rules.other_classes == "error":
                raise ConversionError(f"{where} has a class that is not in the list of classes")
            notices.add("objects of other classes dropped", path.name)
            continue
        is_difficult = _flag(entry, "difficult", where)
        if is_difficult and rules.difficult == "drop":
            notices.add("difficult objects dropped", path.name)
            continue
        written = read_corners(entry, where)
        corners = written.from_zero() if rules.one_based else written
        if corners.has_area() and not corners.inside(size):
            if rules.outside == "error":
                raise ConversionError(
                    f"{where} has a box that leaves its image of {size[0]} x {size[1]} pixels: "
                    f"{written}"
                )
            notices.add("boxes clipped to their image", path.name)
            corners = corners.clipped(size)
        box = corners.xywh(rules.decimals)
        if min(box[2:]) <= 0:
            if rules.no_area == "error":
                raise ConversionError(f"{where} has a box without area: {written}")
            notices.add("boxes without area dropped", path.name)
            continue
        is_crowd = int(is_difficult and rules.difficult == "crowd")
        if is_crowd:
            notices.add("difficult objects made crowds", path.name)
        yield Labelled(category_ids[name], box, is_crowd)


def _flag(entry: ET.Element, tag: str, where: str) -> bool:
    text = (entry.findtext(tag) or "0").strip().lower()
    if text not in ("0", "1", "false", "true"):
        raise ConversionError(f"{where} has <{tag}> {text!r}, which is neither 0 nor 1")
    return text in ("1", "true")
