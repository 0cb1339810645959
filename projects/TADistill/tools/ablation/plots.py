"""Which pictures of a table there are."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from .curves import draw_ap, draw_gates, draw_scales, has_gates, has_scales
from .dots import draw_final, draw_gain, has_gains
from .table import TableRow


class Kind(NamedTuple):
    """A kind of picture.

    Attributes:
        draw: into a file, of some rows, with a title.
        has_any: whether there is anything to draw of some rows.
    """

    draw: Callable[[Path, Sequence[TableRow], str], None]
    has_any: Callable[[Sequence[TableRow]], bool] = bool


KINDS = {
    "ap": Kind(draw_ap),
    "final": Kind(draw_final),
    "gain": Kind(draw_gain, has_gains),
    "gates": Kind(draw_gates, has_gates),
    "scales": Kind(draw_scales, has_scales),
}
