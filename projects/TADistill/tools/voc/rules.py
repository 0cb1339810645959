"""What becomes of objects that have no plain counterpart in COCO."""

from dataclasses import dataclass

from .errors import ConversionError

CHOICES = {  # the first is the default
    "no_area": ("error", "drop"),
    "outside": ("error", "clip"),
    "difficult": ("keep", "crowd", "drop"),
    "other_classes": ("error", "drop"),
}


@dataclass(frozen=True)
class Rules:
    """What becomes of objects that have no plain counterpart in COCO.

    Attributes:
        decimals: of the pixel that x, y, width, height, and the area, are rounded to.
        one_based: pixels are counted from 1 and ``xmax``, ``ymax`` are inside the box.
        no_area: a box whose ``xmax <= xmin`` or ``ymax <= ymin``: ``error`` or ``drop``.
        outside: a box that leaves its image: ``error`` or ``clip``.
        difficult: a ``difficult`` object: ``keep`` as any other, ``crowd`` (``iscrowd`` 1: neither
            trained on nor counted in the AP), or ``drop``.
        other_classes: an object whose class is not in the list: ``error`` or ``drop``.

    Raises:
        ConversionError: for a choice that there is not.
    """

    decimals: int = 2
    one_based: bool = False
    no_area: str = "error"
    outside: str = "error"
    difficult: str = "keep"
    other_classes: str = "error"

    def __post_init__(self) -> None:
        for what, allowed in CHOICES.items():
            if getattr(self, what) not in allowed:
                raise ConversionError(f"{what} is {getattr(self, what)!r}; choose one of {allowed}")
