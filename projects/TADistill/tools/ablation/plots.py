"""Pictures of a table: AP over the iterations, the last AP of each seed, gates and scales."""

from collections.abc import Mapping, Sequence
from itertools import cycle, product
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from .table import BASELINE, TableRow

# Okabe and Ito's colours, which most colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F")
BASELINE_COLOUR, TEACHER_COLOUR, GRID = "#1E1E1E", "#6B6B6B", "#E4E4E4"
DASHES = ("-", "--", ":", "-.")
GATES = {"gate_logit": "logit gate", "gate_box": "box gate", "gate_feature": "feature gate"}
SCALES = {
    "balance_feature": "feature term times",
    "balance_logit": "logit term times",
    "balance_box": "box term times",
}
STYLE = {"font.size": 11, "axes.edgecolor": "#B5B5B5", "text.color": BASELINE_COLOUR}
DPI = 110


def draw_ap(path: Path, rows: Sequence[TableRow], title: str) -> None:
    """AP over the iterations: each row's mean, a band of one standard deviation, the teacher."""
    figure = Figure(figsize=(10, 5.5))
    axes = _axes(figure, 111, title, "iterations", "AP")
    for row, style in _styles(rows).items():
        curves = [_points(r["AP_curve"], "AP") for r in row.records.values()]
        _draw_mean(axes, curves, style, row.name)
    _draw_teacher(rows, axes.axhline)
    _save(figure, path)


def draw_final(path: Path, rows: Sequence[TableRow], title: str) -> None:
    """The last AP: each seed a dot, the mean a line, one standard deviation a bar."""
    styles = _styles(rows)
    figure = Figure(figsize=(10, 1.5 + 0.32 * len(styles)))
    axes = _axes(figure, 111, title, "AP", "")
    axes.grid(False, axis="y")
    axes.grid(axis="x", color=GRID)
    for height, (row, style) in enumerate(styles.items()):
        aps = [r["scores"]["AP"] for r in row.records.values()]
        ap, colour = row.scores["AP"], style["color"]
        if ap is None:
            continue
        axes.plot([ap.mean] * 2, [height - 0.3, height + 0.3], color=colour, linewidth=2)
        axes.barh(height, 2 * (ap.sd or 0), 0.6, ap.mean - (ap.sd or 0), color=colour, alpha=0.2)
        axes.plot(aps, [height] * len(aps), "o", color=colour, markersize=4)
    axes.set_yticks(range(len(styles)), [row.name for row in styles])
    axes.invert_yaxis()
    _draw_teacher(rows, axes.axvline)
    _save(figure, path)


def draw_gates(path: Path, rows: Sequence[TableRow], title: str) -> None:
    """The share of regions in which the teacher won, over the iterations: each row's mean."""
    _draw_pulses(path, rows, title, GATES, "share", ylim=(0, 1))


def draw_scales(path: Path, rows: Sequence[TableRow], title: str) -> None:
    """What the balance multiplies each term by, over the iterations: each row's mean."""
    _draw_pulses(path, rows, title, SCALES, "factor", yscale="log")


KINDS = {"ap": draw_ap, "final": draw_final, "gates": draw_gates, "scales": draw_scales}


PULSES = {"gates": GATES, "scales": SCALES}


def drawable(kind: str, rows: Sequence[TableRow]) -> bool:
    """Whether any record has what a kind of picture shows."""
    names = PULSES.get(kind, ())
    return not names or any(_of_records(row, name) for row in rows for name in names)


def mean_and_sd(curves: Sequence[Mapping[int, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Iterations (P,) that all curves have, ascending, mean values (P,) and their sample standard
    deviations (P,), which are 0 of a single curve.
    """
    iterations = sorted(set.intersection(*(set(curve) for curve in curves)))
    values = np.array([[curve[i] for i in iterations] for curve in curves])
    sd = values.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros(len(iterations))
    return np.array(iterations), values.mean(axis=0), sd


def _draw_pulses(
    path: Path, rows: Sequence[TableRow], title: str, names: Mapping[str, str], ylabel: str, **y
) -> None:
    """Axes side by side, one for each of the scalars that any record has (one does)."""
    styles = _styles(rows)
    curves = {name: {row: _of_records(row, name) for row in styles} for name in names}
    curves = {name: by_row for name, by_row in curves.items() if any(by_row.values())}
    figure = Figure(figsize=(max(5 * len(curves), 7), 5))
    for place, (name, by_row) in enumerate(curves.items(), start=1):
        where = (1, len(curves), place)
        axes = _axes(figure, where, f"{title}: {names[name]}", "iterations", ylabel)
        axes.sharey(figure.axes[0])
        axes.set(**y)
        if axes.get_yscale() == "log":
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_locator(NullLocator())
        for row, found in by_row.items():
            if found:
                _draw_mean(axes, found, styles[row], row.name)
    figure.subplots_adjust(wspace=0.3)
    _save(figure, path)


def _draw_mean(axes: Axes, curves: Sequence[Mapping[int, float]], style: dict, name: str) -> None:
    iterations, mean, sd = mean_and_sd(curves)
    axes.plot(iterations, mean, label=name, linewidth=1.8, **style)
    axes.fill_between(iterations, mean - sd, mean + sd, color=style["color"], alpha=0.15, lw=0)


def _draw_teacher(rows: Sequence[TableRow], line) -> None:
    for row in rows:
        if row.is_teacher and row.scores["AP"] is not None:
            line(row.scores["AP"].mean, color=TEACHER_COLOUR, linestyle="--", label=row.name)


def _styles(rows: Sequence[TableRow]) -> dict[TableRow, dict]:
    """Of the rows that were trained."""
    styles = {}
    others = cycle(product(DASHES, COLOURS))
    for row in rows:
        if row.name == BASELINE:
            styles[row] = {"color": BASELINE_COLOUR, "linestyle": "-"}
        elif not row.is_teacher:
            dashes, colour = next(others)
            styles[row] = {"color": colour, "linestyle": dashes}
    return styles


def _of_records(row: TableRow, name: str) -> list[dict[int, float]]:
    """The curves of a scalar of the distillation, of those seeds whose records have it."""
    curves = (_points(record.get("gates", {}), name) for record in row.records.values())
    return [curve for curve in curves if curve]


def _points(curve: Mapping[str, Sequence], name: str) -> dict[int, float]:
    pairs = zip(curve.get("iteration", ()), curve.get(name, ()), strict=False)
    return {iteration: value for iteration, value in pairs if value is not None}


def _axes(figure: Figure, place, title: str, xlabel: str, ylabel: str) -> Axes:
    with rc_context(STYLE):
        axes = figure.add_subplot(*(place if isinstance(place, tuple) else (place,)))
        axes.set_title(title, loc="left", fontweight="bold")
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.grid(axis="y", color=GRID)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return axes


def _save(figure: Figure, path: Path) -> None:
    """With one legend for all axes, of which one may lack a row that another has."""
    labelled = [axes.get_legend_handles_labels() for axes in figure.axes]
    by_label = {label: handle for pair in labelled for handle, label in zip(*pair, strict=True)}
    if by_label:
        figure.axes[-1].legend(
            by_label.values(),
            by_label.keys(),
            loc="center left",
            bbox_to_anchor=(1.01, 0.5),
            frameon=False,
            fontsize=9,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=DPI, bbox_inches="tight", metadata={"Software": None})
