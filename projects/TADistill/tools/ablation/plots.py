"""Which pictures of a table there are."""

from collections.abc import Sequence

from .curves import GATES, SCALES, draw_ap, draw_gates, draw_scales, has_any
from .dots import draw_final, draw_gain
from .table import TableRow

KINDS = {
    "ap": draw_ap,
    "final": draw_final,
    "gain": draw_gain,
    "gates": draw_gates,
    "scales": draw_scales,
}
PULSES = {"gates": GATES, "scales": SCALES}


def drawable(kind: str, rows: Sequence[TableRow]) -> bool:
    """Whether any record has what a kind of picture shows."""
    if kind == "gain":
        return any(row.gains for row in rows)
    return kind not in PULSES or has_any(rows, PULSES[kind])
