"""The record of a run: one strict JSON file with all that a table or a plot wants of it."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from trainings import REPO, Run
from trainings.fingerprint import digest

from tadistill.files import written_whole

from .runs import RowRun

POINTS = 50  # of a curve
DIGITS = 5  # of a point
SCORES = ("AP", "AP50", "AP75", "APs", "APm", "APl")
NUMBERS = re.compile(r"\[\s+([^][{}\"]*?)\s+\]")
OF_EACH_PART = ("seconds", "peak_rss_mib", "depends_on")
MAX_MEM = re.compile(r"max_mem: (\d+)M")


def make_record(row_run: RowRun, grid: Path, command: str) -> dict:
    """Of a run that has finished.

    Args:
        row_run: the run.
        grid: its file.
        command: runs it again.
    """
    run, row = row_run.run, row_run.row
    parts = run.parts
    record = {
        "row": row.name,
        "title": row.title,
        "budget": row_run.budget,
        "seed": row_run.seed,
        "evaluates_teacher": row.evaluate_teacher,
        "grid": shown_path(grid),
        "command": command,
    }
    if row.evaluate_teacher:
        record |= {"scores": _teachers_scores(run)}
    else:
        record |= _of_training(run)
    return record | {
        "seconds": round(sum(part["seconds"] for part in parts), 1),
        "peak_rss_mib": max((part["peak_rss_mib"] or 0 for part in parts), default=0) or None,
        "cuda_max_memory_mib": _cuda_memory(run.directory),
        **_abouts(parts),
        "fingerprint": digest(row_run.fingerprint),
        "depends_on": row_run.fingerprint,
    }


def _of_training(run: Run) -> dict:
    metrics = run.metrics
    evaluations = [m for m in metrics if "bbox/AP" in m]
    last = {k.removeprefix("bbox/"): v for k, v in evaluations[-1].items() if k.startswith("bbox/")}
    steps = [m for m in metrics if "total_loss" in m]
    names = sorted({key for m in steps for key in m})
    # One that was resumed at its end is evaluated once more, an iteration later.
    by_iteration = {min(m["iteration"] + 1, run.iterations): m for m in evaluations}
    times = [m["time"] for m in steps if "time" in m]
    return {
        "iterations": run.iterations,
        "scores": {name: last.get(name) for name in SCORES},
        "class_AP": {k.removeprefix("AP-"): v for k, v in last.items() if k.startswith("AP-")},
        "seconds_per_iteration": median(times) if times else None,
        "AP_curve": curve(
            [{**m, "iteration": iteration} for iteration, m in by_iteration.items()],
            {"bbox/AP": "AP"},
            points=math.inf,
        ),
        "losses": curve(steps, {n: n for n in names if n.startswith(("loss_", "total_loss"))}),
        "gates": curve(steps, {n: n.removeprefix("tad/") for n in names if n.startswith("tad/")}),
    }


def curve(metrics: Sequence[dict], names: dict[str, str], points: float = POINTS) -> dict:
    """Some scalars over the iterations, thinned.

    Args:
        metrics: by iteration.
        names: of the scalars, and what they are to be called.
        points: how many at most; the first and the last are among them.

    Returns:
        ``iteration`` and each scalar: lists of one length, None where there is no value.
    """
    metrics = thinned([m for m in metrics if any(name in m for name in names)], points)
    columns = {new: [_rounded(m.get(old)) for m in metrics] for old, new in names.items()}
    return {"iteration": [m["iteration"] for m in metrics], **columns}


def thinned(values: Sequence, points: float) -> list:
    """At most that many of them, evenly spaced, with the first and the last."""
    if len(values) <= points:
        return list(values)
    return [values[round(i * (len(values) - 1) / (points - 1))] for i in range(points)]


def write_record(path: Path, record: dict) -> None:
    """Writes strict JSON: of what is not finite, null. Lists of numbers are one line each."""
    text = json.dumps(_finite(record), indent=1, allow_nan=False, ensure_ascii=False)
    text = NUMBERS.sub(lambda found: "[" + " ".join(found[1].split()) + "]", text)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(str(path), "w") as file:
        file.write(text + "\n")


def read_record(path: Path) -> dict | None:
    """A record; None if there is none."""
    return json.loads(path.read_text()) if path.exists() else None


def shown_path(path: Path | str) -> str:
    """As seen from the repository. Of what lies elsewhere the name alone."""
    path = (REPO / path).resolve()
    return str(path.relative_to(REPO)) if path.is_relative_to(REPO) else path.name


def _teachers_scores(run: Run) -> dict:
    scores = json.loads((run.directory / "eval_teacher/results.json").read_text())["bbox"]
    return {name: scores.get(name) for name in SCORES}


def _abouts(parts: list[dict]) -> dict:
    """What was the same in all parts once, and the commits of all."""
    first = {k: v for k, v in parts[0].items() if k not in OF_EACH_PART}
    others = [part.get("commit") for part in parts if part.get("commit") != first.get("commit")]
    return {**first, "parts": len(parts), "other_commits": list(dict.fromkeys(others))}


def _cuda_memory(directory: Path) -> int | None:
    log = directory / "log.txt"
    found = MAX_MEM.findall(log.read_text()) if log.exists() else []
    return max(map(int, found), default=None)


def _rounded(value: float | None) -> float | None:
    return value if value is None or not math.isfinite(value) else float(f"{value:.{DIGITS}g}")


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
