"""Other programs' distillation beside ours."""

from collections.abc import Iterator

from .cells import RATIOS, ratios, seconds
from .markdown import Cells, table
from .recorded import Recorded, results


@table("distillation", "device", "a, s", "b, s", "c, s", *RATIOS)
def side_by_side(recorded: Recorded) -> Iterator[Cells]:
    """Ours, the plain version and torchdistill."""
    for result in results(recorded, "side-by-side"):
        device = result["about"]["device"]
        for pair in result["pairs"].values():
            for name, figures in pair["distillations"].items():
                versioned = f"{name} {pair['versions'].get(name, '')}".strip()
                sides = (seconds(figures[side]) for side in "abc")
                yield versioned, device, *sides, *ratios(figures)
            for name, reason in pair["skipped"].items():
                yield name, device, reason, *[""] * 5
