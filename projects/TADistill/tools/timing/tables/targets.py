"""What was aimed at, and what was measured."""

from collections.abc import Iterator
from typing import NamedTuple

from ..parts import ours
from .cells import megabytes
from .markdown import Cells, table
from .recorded import Recorded, pairs

# Of c / (a + b); and of the best of the options that make the teacher faster.
TARGETS = {"every term": 1.03, "no feature term": 1.01}
FAST_TARGETS = {"cpu": 0.95, "cuda": 0.85}


class Target(NamedTuple):
    """A row of the table; ``met`` is None where the noise does not let one say."""

    what: str
    wanted: str
    measured: str
    met: bool | None


@table("pair", "device", "what", "target", "measured", "met")
def targets(recorded: Recorded) -> Iterator[Cells]:
    """What was aimed at and what was measured."""
    for pair in pairs(recorded, "step"):
        speed = _speed_targets(pair.measured, FAST_TARGETS[pair.about["device"]])
        for target in (*speed, *_memory_targets(pair.measured["memory"])):
            met = {True: "yes", False: "**no**", None: "within the noise"}[target.met]
            yield *pair.names(), *target[:3], met


def _speed_targets(measured: dict, fast_limit: float) -> Iterator[Target]:
    variants, parts = measured["variants"], measured["parts"]
    for name, limit in TARGETS.items():
        if name in variants:
            yield _ratio_target(name, limit, variants[name])
    fast = [
        name
        for name, figures in variants.items()
        if any(str(word).startswith("MODEL.TADISTILL.TEACHER.") for word in figures["opts"])
    ]
    if fast:
        best = min(fast, key=lambda name: variants[name]["c / (a + b)"]["median"])
        yield _ratio_target(best, fast_limit, variants[best])
    share = 100 * ours(parts, without=("adapters",)) / parts["step"]
    yield Target("sharing, masks, terms, gates", "at most 2 %", f"{share:.2f} %", share <= 2)


def _ratio_target(name: str, limit: float, figures: dict) -> Target:
    ratio = figures["c / (a + b)"]
    noisy = ratio["low"] <= limit <= ratio["high"]
    met = None if noisy else ratio["median"] <= limit
    interval = f"{ratio['median']:.3f} (95 %: {ratio['low']:.3f} to {ratio['high']:.3f})"
    return Target(f"c / (a + b), {name}", f"at most {limit}", interval, met)


def _memory_targets(memory: dict) -> Iterator[Target]:
    names = {"kept": "memory kept for backward, c above a", "peak": "peak memory, c above a"}
    wanted = f"at most {megabytes(memory['allowed'])} MB"
    for key, what in names.items():
        measured = f"{megabytes(memory['c above a'][key])} MB"
        yield Target(what, wanted, measured, memory["holds"][key])
    kept = memory["c"]["of_teacher"]
    yield Target("of the teacher kept for backward", "0 MB", f"{megabytes(kept)} MB", kept == 0)
