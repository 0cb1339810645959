"""``BENCHMARK.md``: a template's words around tables made from the recorded JSON."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .parts import BACKWARD, OURS, ours
from .record import RUNS, command, file_name
from .step import LOADING, STUDENT, TEACHER

TEMPLATE = "BENCHMARK.template.md"
NOT_MEASURED = "*Not measured yet.*"
_MARKER = re.compile(r"^\{\{(\w+)\}\}$", re.M)
# Of c / (a + b); and of the best of the options that make the teacher faster.
TARGETS = {"every term": 1.03, "no feature term": 1.01}
FAST_TARGETS = {"cpu": 0.95, "cuda": 0.85}

Recorded = Mapping[str, dict]  # by file name, without its ending


def render(directory: Path) -> str:
    """The page.

    Args:
        directory: with the JSON files of :mod:`timing.record` and the template, in which each line
            ``{{name}}`` stands for a table.

    Raises:
        ValueError: if the template asks for a table that does not exist.
    """
    recorded = read_recorded(directory)

    def table(match: re.Match) -> str:
        name = match[1]
        if name not in TABLES:
            raise ValueError(f"{TEMPLATE}: there is no table {name!r}; there are {list(TABLES)}")
        return "\n".join(TABLES[name](recorded)) or NOT_MEASURED

    return _MARKER.sub(table, (directory / TEMPLATE).read_text())


def read_recorded(directory: Path) -> dict[str, dict]:
    """What ``benchmark.py`` wrote, in the order of the names."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))}


# --------------------------------------------------------------------------------- the tables


def machines(recorded: Recorded) -> Iterator[str]:
    """What each file was measured on."""
    if recorded:
        yield from _header("file", "machine", "threads", "load before", "torch", "commit")
    for name, result in recorded.items():
        about = result["about"]
        yield _row(
            f"`{name}.json`",
            about["gpu"] or f"{about['processor']}, {about['cores']} cores",
            about["threads"],
            about["load"],
            about["versions"]["torch"],
            about["commit"],
        )


def steps(recorded: Recorded) -> Iterator[str]:
    """a, b and c of each pair."""
    pairs = list(_pairs(recorded, "step"))
    if pairs:
        yield from _header("pair", "device", "batch", "a, s", "b, s", "c, s", *_RATIOS)
    for config, device, pair in pairs:
        name, figures = next(iter(pair["variants"].items()))
        totals = [pair["seconds"][side]["total"] for side in (STUDENT, TEACHER, name)]
        yield _row(
            f"`{config}`",
            device,
            _batch(pair["batch"]),
            *map(_seconds, totals),
            *_ratios(figures),
        )


def phases(recorded: Recorded) -> Iterator[str]:
    """Forward, backward and optimizer of a and c, and loading, in milliseconds."""
    pairs = list(_pairs(recorded, "step"))
    if pairs:
        yield from _header("pair", "device", "step", "forward", "backward", "optimizer", "data")
    for config, device, pair in pairs:
        loading = pair["seconds"].get(LOADING)
        for side in (STUDENT, next(iter(pair["variants"]))):
            yield _row(
                f"`{config}`",
                device,
                side,
                *(_ms(pair["seconds"][side][p]["median"]) for p in _PHASES),
                _ms(loading["total"]["median"]) if loading else "",
            )


_PHASES = ("forward", "backward", "optimizer")


def variants(recorded: Recorded) -> Iterator[str]:
    """Each variant of c."""
    for config, device, pair in _pairs(recorded, "step"):
        if len(pair["variants"]) < 2:
            continue
        yield from (f"`{config}`, {device}:", "")
        yield from _header("c", "b is", "c, ms", *_RATIOS)
        for name, figures in pair["variants"].items():
            needed = ", ".join(figures["b"]).replace("box_head", "head").replace("rpn", "RPN")
            yield _row(
                name,
                needed or "nothing",
                _ms(pair["seconds"][name]["total"]["median"]),
                *_ratios(figures),
            )
        yield ""


def parts(recorded: Recorded) -> Iterator[str]:
    """The share of each part in c."""
    pairs = list(_pairs(recorded, "step"))
    if not pairs:
        return
    yield from _header("part", *(f"`{config}`, {device}" for config, device, _ in pairs))
    shares = [pair["parts"] for _, _, pair in pairs]
    rows: dict[str, Callable[[dict], float]] = {
        part: lambda p, part=part: p.get(part, 0.0) for part in (*OURS, *BACKWARD)
    }
    rows["**all of ours**"] = ours
    rows["**without the adapters**"] = lambda p: ours(p, without=("adapters",))
    for name, seconds in rows.items():
        yield _row(name, *(f"{100 * seconds(p) / p['step']:.2f} %" for p in shares))


class Target(NamedTuple):
    """A row of the targets' table; ``met`` is None where the noise does not let one say."""

    what: str
    wanted: str
    measured: str
    met: bool | None


def targets(recorded: Recorded) -> Iterator[str]:
    """What was aimed at and what was measured."""
    pairs = list(_pairs(recorded, "step"))
    if pairs:
        yield from _header("pair", "device", "what", "target", "measured", "met")
    for config, device, pair in pairs:
        for target in (*_speed_targets(device, pair), *_memory_targets(pair["memory"])):
            met = {True: "yes", False: "**no**", None: "within the noise"}[target.met]
            yield _row(f"`{config}`", device, *target[:3], met)


def _speed_targets(device: str, pair: dict) -> Iterator[Target]:
    for name, limit in TARGETS.items():
        if name in pair["variants"]:
            yield _ratio_target(f"c / (a + b), {name}", limit, pair["variants"][name])
    fast = [
        (name, figures)
        for name, figures in pair["variants"].items()
        if any(str(word).startswith("MODEL.TADISTILL.TEACHER.") for word in figures["opts"])
    ]
    if fast:
        name, figures = min(fast, key=lambda item: item[1]["c / (a + b)"]["median"])
        yield _ratio_target(f"c / (a + b), {name}", FAST_TARGETS[device.partition(",")[0]], figures)
    share = 100 * ours(pair["parts"], without=("adapters",)) / pair["parts"]["step"]
    yield Target("sharing, masks, terms, gates", "at most 2 %", f"{share:.2f} %", share <= 2)


def _ratio_target(what: str, limit: float, figures: dict) -> Target:
    ratio = figures["c / (a + b)"]
    noisy = ratio["low"] <= limit <= ratio["high"]
    met = None if noisy else ratio["median"] <= limit
    interval = f"{ratio['median']:.3f} (95 %: {ratio['low']:.3f} to {ratio['high']:.3f})"
    return Target(what, f"at most {limit}", interval, met)


def _memory_targets(memory: dict) -> Iterator[Target]:
    names = {"kept": "memory kept for backward, c above a", "peak": "peak memory, c above a"}
    for key, what in names.items():
        measured = f"{_mb(memory['c above a'][key])} MB"
        yield Target(what, f"at most {_mb(memory['allowed'])} MB", measured, memory["holds"][key])
    kept = memory["c"]["of_teacher"]
    yield Target("of the teacher kept for backward", "0 MB", f"{_mb(kept)} MB", kept == 0)


def memory(recorded: Recorded) -> Iterator[str]:
    """Peaks and what is kept for backward, in megabytes."""
    pairs = list(_pairs(recorded, "step"))
    if pairs:
        yield from _header(
            "pair, MB", "device", "peak of a", "of b", "of c", "kept for backward: a", "c",
            "teacher's weights", "maps", "head outputs", "adapters",
        )  # fmt: skip
    for config, device, pair in pairs:
        m = pair["memory"]
        yield _row(
            f"`{config}`",
            device,
            *(_mb(m[side]["peak"]) for side in "abc"),
            *(_mb(m[side]["kept"]) for side in "ac"),
            *(_mb(m["teacher"][key]) for key in ("weights", "maps", "head", "adapters")),
        )


def growth(recorded: Recorded) -> Iterator[str]:
    """The exponents."""
    results = [r for name, r in recorded.items() if _is(name, "growth")]
    names = (*OURS, *BACKWARD, "ours")
    if results:
        yield from _header("what grows", "device", "from, to", *names)
    for result in results:
        for axis, measured in result["axes"].items():
            sizes = [point["size"] for point in measured["points"]]
            yield _row(
                axis,
                result["about"]["device"],
                f"{sizes[0]}, {sizes[-1]}",
                *(_exponent(measured, name) for name in names),
            )


def _exponent(measured: dict, part: str) -> str:
    k = measured["exponents"].get(part)
    return "" if k is None else f"{k:.2f}"


def side_by_side(recorded: Recorded) -> Iterator[str]:
    """Ours, the plain version and torchdistill."""
    results = [r for name, r in recorded.items() if _is(name, "side-by-side")]
    if results:
        yield from _header("distillation", "device", "a, s", "b, s", "c, s", *_RATIOS)
    for result in results:
        for pair in result["pairs"].values():
            for name, figures in pair["distillations"].items():
                yield _row(
                    " ".join([name, pair["versions"].get(name, "")]).strip(),
                    result["about"]["device"],
                    *(_seconds(figures[side]) for side in "abc"),
                    *_ratios(figures),
                )
            for name, reason in pair["skipped"].items():
                yield _row(name, result["about"]["device"], reason, *[""] * 5)


def deployed(recorded: Recorded) -> Iterator[str]:
    """Images a second."""
    pairs = list(_pairs(recorded, "deployed"))
    if pairs:
        yield from _header(
            "pair", "device", "image side", "teacher, images / s", "student, images / s",
            "times faster", "parameters, M",
        )  # fmt: skip
    for config, device, pair in pairs:
        rates = pair["images / s"]
        counts = [pair["parameters"][name] / 1e6 for name in ("teacher", "student")]
        yield _row(
            f"`{config}`",
            device,
            pair["side"],
            *(_three(rates[name]["median"]) for name in ("teacher", "student")),
            _ratio(pair["teacher / student"]),
            " to ".join(f"{count:.2f}" for count in counts),
        )


def commands(recorded: Recorded) -> Iterator[str]:
    """What wrote each file."""
    yield "```"
    for name, result in recorded.items():
        for run in RUNS:
            if name == Path(file_name(run, result["about"]["device"])).stem:
                yield command(run, result["about"]["device"])
    yield "```"


TABLES: dict[str, Callable[[Recorded], Iterator[str]]] = {
    "machines": machines,
    "targets": targets,
    "steps": steps,
    "phases": phases,
    "variants": variants,
    "parts": parts,
    "memory": memory,
    "growth": growth,
    "side_by_side": side_by_side,
    "deployed": deployed,
    "commands": commands,
}


# ----------------------------------------------------------------------------------- formatting


def _is(name: str, section: str) -> bool:
    return name == section or name.startswith(section + "-")


def _pairs(recorded: Recorded, section: str) -> Iterator[tuple[str, str, dict]]:
    for name, result in recorded.items():
        if _is(name, section):
            for config, pair in result["pairs"].items():
                yield config.removeprefix("configs/"), _where(result["about"]), pair


def _where(about: dict) -> str:
    """The device; of a CPU how many threads too, on which the figures depend."""
    if about["device"] != "cpu":
        return about["device"]
    return f"cpu, {about['threads']} thread" + "s" * (about["threads"] != 1)


def _header(*cells: str) -> Iterator[str]:
    yield _row(*cells)
    yield _row(*["---"] * len(cells))


def _row(*cells) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _batch(batch: Mapping) -> str:
    return f"{batch['images']} of {batch['width']} x {batch['height']}"


def _three(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{float(f'{value:.3g}'):g}"


def _seconds(figures: Mapping) -> str:
    return f"{_three(figures['median'])} ({_three(figures['q1'])} to {_three(figures['q3'])})"


def _ratio(figures: Mapping) -> str:
    return f"{figures['median']:.3f} ({figures['q1']:.3f} to {figures['q3']:.3f})"


_RATIOS = ("c / (a + b)", "fastest quarter", "c / a")


def _ratios(figures: Mapping) -> Iterator[str]:
    both = figures["c / (a + b)"]
    fastest = f"{both['of_fastest']:.3f}" if "of_fastest" in both else ""
    yield from (_ratio(both), fastest, _ratio(figures["c / a"]))


def _ms(seconds: float) -> str:
    return _three(1e3 * seconds)


def _mb(size: Sequence | int) -> str:
    return f"{size / 1e6:.1f}"
