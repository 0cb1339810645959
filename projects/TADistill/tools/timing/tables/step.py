"""What a training step costs: whole, by phase, by option and by part."""

from collections.abc import Callable, Iterator

from ..parts import BACKWARD, OURS, ours
from ..step import LOADING, STUDENT, TEACHER
from .cells import RATIOS, milliseconds, ratios, seconds
from .markdown import Cells, lines, table
from .recorded import Recorded, pairs

PHASES = ("forward", "backward", "optimizer")


@table("pair", "device", "batch", "a, s", "b, s", "c, s", *RATIOS)
def steps(recorded: Recorded) -> Iterator[Cells]:
    """a, b and c of each pair."""
    for pair in pairs(recorded, "step"):
        measured, batch = pair.measured, pair.measured["batch"]
        name, figures = next(iter(measured["variants"].items()))
        totals = [measured["seconds"][side]["total"] for side in (STUDENT, TEACHER, name)]
        images = f"{batch['images']} of {batch['width']} x {batch['height']}"
        yield *pair.names(), images, *map(seconds, totals), *ratios(figures)


@table("pair", "device", "step", *PHASES, "data")
def phases(recorded: Recorded) -> Iterator[Cells]:
    """Forward, backward and optimizer of a and c, and loading, in milliseconds."""
    for pair in pairs(recorded, "step"):
        sides = pair.measured["seconds"]
        loading = sides.get(LOADING)
        data = milliseconds(loading["total"]["median"]) if loading else ""
        for side in (STUDENT, next(iter(pair.measured["variants"]))):
            medians = (milliseconds(sides[side][phase]["median"]) for phase in PHASES)
            yield *pair.names(), side, *medians, data


def variants(recorded: Recorded) -> Iterator[str]:
    """Each variant of c: a table a pair."""
    for pair in pairs(recorded, "step"):
        measured = pair.measured
        if len(measured["variants"]) < 2:
            continue
        rows = []
        for name, figures in measured["variants"].items():
            needed = ", ".join(figures["b"]).replace("box_head", "head").replace("rpn", "RPN")
            total = milliseconds(measured["seconds"][name]["total"]["median"])
            rows.append((name, needed or "nothing", total, *ratios(figures)))
        yield from (", ".join(pair.names()) + ":", "")
        yield from lines(("c", "b is", "c, ms", *RATIOS), rows)
        yield ""


def parts(recorded: Recorded) -> Iterator[str]:
    """The share of each part in c: a column a pair."""
    measured = list(pairs(recorded, "step"))
    if not measured:
        return
    part_seconds: dict[str, Callable[[dict], float]] = {
        part: lambda p, part=part: p.get(part, 0.0) for part in (*OURS, *BACKWARD)
    }
    part_seconds["**all of ours**"] = ours
    part_seconds["**without the adapters**"] = lambda p: ours(p, without=("adapters",))
    of_pairs = [pair.measured["parts"] for pair in measured]
    rows = [
        (name, *(f"{100 * of(each) / each['step']:.2f} %" for each in of_pairs))
        for name, of in part_seconds.items()
    ]
    yield from lines(("part", *(", ".join(pair.names()) for pair in measured)), rows)
