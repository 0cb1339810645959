"""``BENCHMARK.md``: a template's words around tables made from the recorded JSON."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from .parts import BACKWARD, OURS, ours
from .record import RUNS, command, file_name
from .step import LOADING, STUDENT, TEACHER

TEMPLATE = "BENCHMARK.template.md"
NOT_MEASURED = "*Not measured yet.*"
_MARKER = re.compile(r"^\{\{(\w+)\}\}$", re.M)
# Ratios of these to (a + b): those of the issue of a step that adds nothing.
TARGETS = {"every term": 1.03, "no feature term": 1.01}

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
        yield from _header(
            "pair", "device", "batch", "a, s", "b, s", "c, s", "c / (a + b)", "c / a"
        )
    for config, device, pair in pairs:
        name, figures = next(iter(pair["variants"].items()))
        totals = [pair["seconds"][side]["total"] for side in (STUDENT, TEACHER, name)]
        yield _row(
            f"`{config}`",
            device,
            _batch(pair["batch"]),
            *map(_seconds, totals),
            _ratio(figures["c / (a + b)"]),
            _ratio(figures["c / a"]),
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
        yield from _header("c", "b is", "c, ms", "c / (a + b)", "c / a")
        for name, figures in pair["variants"].items():
            needed = ", ".join(figures["b"]).replace("box_head", "head").replace("rpn", "RPN")
            yield _row(
                name,
                needed or "nothing",
                _ms(pair["seconds"][name]["total"]["median"]),
                _ratio(figures["c / (a + b)"]),
                _ratio(figures["c / a"]),
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


def targets(recorded: Recorded) -> Iterator[str]:
    """What was aimed at and what was measured."""
    rows = []
    for config, device, pair in _pairs(recorded, "step"):
        for name, target in TARGETS.items():
            if name in pair["variants"]:
                measured = pair["variants"][name]["c / (a + b)"]
                rows.append(
                    (
                        config,
                        device,
                        f"c / (a + b), {name}",
                        f"at most {target}",
                        _ratio(measured),
                        measured["median"] <= target,
                    )
                )
        share = 100 * ours(pair["parts"], without=("adapters",)) / pair["parts"]["step"]
        rows.append(
            (
                config,
                device,
                "sharing, masks, terms, gates",
                "at most 2 %",
                f"{share:.2f} %",
                share <= 2,
            )
        )
        rows += _memory_targets(config, device, pair["memory"])
    if rows:
        yield from _header("pair", "device", "what", "target", "measured", "met")
    for config, device, what, target, measured, met in rows:
        yield _row(f"`{config}`", device, what, target, measured, "yes" if met else "**no**")


def _memory_targets(config: str, device: str, memory: dict) -> list[tuple]:
    allowed = f"at most {_mb(memory['allowed'])} MB"
    names = {"kept": "memory kept for backward, c above a", "peak": "peak memory, c above a"}
    rows = [
        (config, device, what, allowed, f"{_mb(memory['c above a'][key])} MB", memory["holds"][key])
        for key, what in names.items()
    ]
    of_teacher = memory["c"]["of_teacher"]
    what = "of the teacher kept for backward"
    return [*rows, (config, device, what, "0 MB", f"{_mb(of_teacher)} MB", of_teacher == 0)]


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
        yield from _header("distillation", "device", "a, s", "b, s", "c, s", "c / (a + b)", "c / a")
    for result in results:
        for pair in result["pairs"].values():
            for name, figures in pair["distillations"].items():
                yield _row(
                    " ".join([name, pair["versions"].get(name, "")]).strip(),
                    result["about"]["device"],
                    *(_seconds(figures[side]) for side in "abc"),
                    _ratio(figures["c / (a + b)"]),
                    _ratio(figures["c / a"]),
                )
            for name, reason in pair["skipped"].items():
                yield _row(name, result["about"]["device"], reason, "", "", "", "")


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
                yield config.removeprefix("configs/"), result["about"]["device"], pair


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


def _ms(seconds: float) -> str:
    return _three(1e3 * seconds)


def _mb(size: Sequence | int) -> str:
    return f"{size / 1e6:.1f}"
