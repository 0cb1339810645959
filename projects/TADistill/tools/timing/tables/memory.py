"""Memory, in megabytes."""

from collections.abc import Iterator

from .cells import megabytes
from .markdown import Cells, table
from .recorded import Recorded, pairs


@table(
    *("pair, MB", "device", "peak of a", "of b", "of c", "kept for backward: a", "c"),
    *("teacher's weights", "maps", "head outputs", "adapters"),
)
def memory(recorded: Recorded) -> Iterator[Cells]:
    """Peaks and what is kept for backward."""
    for pair in pairs(recorded, "step"):
        sides = pair.measured["memory"]
        sizes = (
            *(sides[side]["peak"] for side in "abc"),
            *(sides[side]["kept"] for side in "ac"),
            *(sides["teacher"][key] for key in ("weights", "maps", "head", "adapters")),
        )
        yield *pair.names(), *map(megabytes, sizes)
