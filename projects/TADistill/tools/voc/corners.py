"""The corners of a box, as Pascal VOC writes them."""

import math
import xml.etree.ElementTree as ET
from typing import NamedTuple

from .errors import ConversionError


class Corners(NamedTuple):
    """A box in absolute pixels, x to the right and y down."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float

    def __str__(self) -> str:
        return ", ".join(f"{tag} {value:g}" for tag, value in self._asdict().items())

    def from_zero(self) -> "Corners":
        """The same box of pixels that were counted from 1, with the last one inside."""
        return self._replace(xmin=self.xmin - 1, ymin=self.ymin - 1)

    def has_area(self) -> bool:
        """Whether the second corner is right of and below the first."""
        return self.xmax > self.xmin and self.ymax > self.ymin

    def inside(self, size: tuple[int, int]) -> bool:
        """Whether both corners are in an image of ``size`` (width, height)."""
        width, height = size
        return self.xmin >= 0 and self.ymin >= 0 and self.xmax <= width and self.ymax <= height

    def clipped(self, size: tuple[int, int]) -> "Corners":
        """The part that is in an image of ``size`` (width, height)."""
        return Corners(
            *(
                min(max(value, 0.0), float(side))
                for value, side in zip(self, (*size, *size), strict=True)
            )
        )

    def xywh(self, decimals: int) -> tuple[float, float, float, float]:
        """Left, top, width and height, each rounded to ``decimals`` of a pixel."""
        x0, y0, x1, y1 = self
        x, y, w, h = (round(value, decimals) for value in (x0, y0, x1 - x0, y1 - y0))
        return x, y, w, h


def read_corners(entry: ET.Element, where: str) -> Corners:
    """The ``<bndbox>`` of an ``<object>``.

    Raises:
        ConversionError: beginning with ``where``, if it is missing or has no four numbers.
    """
    box = entry.find("bndbox")
    if box is None:
        raise ConversionError(f"{where} has no <bndbox>")
    return Corners(*(_number(box, tag, where) for tag in Corners._fields))


def _number(parent: ET.Element, tag: str, where: str) -> float:
    text = parent.findtext(tag)
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConversionError(f"{where} has <{tag}> {text!r}, which is no number")
    return value
