"""The demo's results as rows, as a table, and as files."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

from rich.box import SIMPLE_HEAD
from rich.table import Table

NAMES = ("teacher", "baseline", "distilled")
CAVEAT = (
    "A short budget flatters any teacher: this student was cut off long before it levelled off. "
    "For one that was trained longer see projects/TADistill/RESULTS.md."
)
COLUMNS = (  # heading, key, format, factor
    ("AP", "AP", "{:.1f}", 1),
    ("AP50", "AP50", "{:.1f}", 1),
    ("AP75", "AP75", "{:.1f}", 1),
    ("params (M)", "parameters", "{:.2f}", 1e-6),
    ("GFLOPs", "gflops", "{:.2f}", 1),
    ("s/it", "seconds_per_iteration", "{:.3f}", 1),
    ("ms/image", "seconds_per_image", "{:.1f}", 1e3),
)


def gain(rows: Sequence[dict]) -> str:
    """One sentence: what the distilled student has over the baseline, seed by seed."""
    ap = {name: {r["seed"]: r["AP"] for r in rows if r["name"] == name} for name in NAMES}
    gains = [ap["distilled"][seed] - ap["baseline"][seed] for seed in sorted(ap["baseline"])]
    if len(gains) == 1:
        return f"Distilled - baseline: {gains[0]:+.1f} AP (one seed; no spread)."
    each = ", ".join(f"{g:+.1f}" for g in gains)
    return (
        f"Distilled - baseline: {mean(gains):+.1f} ± {stdev(gains):.1f} AP "
        f"over {len(gains)} seeds ({each})."
    )


def terminal_table(rows: Sequence[dict]) -> Table:
    """For the terminal."""
    # Narrow, for terminals of 80 columns.
    table = Table(caption=f"{gain(rows)}\n{CAVEAT}", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for heading, *_ in COLUMNS:
        table.add_column(heading, justify="right")
    for name in NAMES:
        table.add_row(name, *(cell.replace(" ± ", "±") for cell in _cells(rows, name)))
    return table


def markdown_table(rows: Sequence[dict]) -> str:
    """For results.md."""
    headings = [heading for heading, *_ in COLUMNS]
    lines = ["| | " + " | ".join(headings) + " |", "| --- |" + " ---: |" * len(headings)]
    lines += [f"| {name} | " + " | ".join(_cells(rows, name)) + " |" for name in NAMES]
    return "\n".join([*lines, "", gain(rows), "", CAVEAT, ""])


def _cells(rows: Sequence[dict], name: str) -> list[str]:
    """Each column's mean over the seeds, with the standard deviation where seeds differ."""
    cells = []
    for _, key, form, factor in COLUMNS:
        values = [row[key] * factor for row in rows if row["name"] == name]
        cell = form.format(mean(values))
        if len(set(values)) > 1:
            cell += " ± " + form.format(stdev(values))
        cells.append(cell)
    return cells


def write_results(directory: Path, rows: Sequence[dict], about: dict) -> None:
    """Writes ``results.json`` and ``results.md``, which the demo alone makes.

    Args:
        directory: where to.
        rows: one a model and seed.
        about: what made them: command, versions, machine, curves.
    """
    (directory / "results.json").write_text(json.dumps({"rows": rows, **about}, indent=1) + "\n")
    (directory / "results.md").write_text(markdown_table(rows))
