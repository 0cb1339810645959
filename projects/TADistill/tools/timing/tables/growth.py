"""How the parts grow with sizes."""

from collections.abc import Iterator

from ..parts import BACKWARD, OURS
from .markdown import Cells, table
from .recorded import Recorded, results

PARTS = (*OURS, *BACKWARD, "ours")


@table("what grows", "device", "from, to", *PARTS)
def growth(recorded: Recorded) -> Iterator[Cells]:
    """The exponents."""
    for result in results(recorded, "growth"):
        for axis, measured in result["axes"].items():
            sizes = [point["size"] for point in measured["points"]]
            exponents = (measured["exponents"].get(part) for part in PARTS)
            yield (
                axis,
                result["about"]["device"],
                f"{sizes[0]}, {sizes[-1]}",
                *("" if k is None else f"{k:.2f}" for k in exponents),
            )
