"""Pictures over the iterations: AP, gates and scales, each row's mean and standard deviation."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from colours import INK
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from .canvas import draw_teacher, new_axes, save, styles_of
from .table import TableRow

GATES = {"gate_logit": "logit gate", "gate_box": "box gate", "gate_feature": "feature gate"}
SCALES = {
    "balance_feature": "scale of the feature term",
    "balance_logit": "scale of the logit term",
    "balance_box": "scale of the box term",
}


def draw_ap(path: Path, rows: Sequence[TableRow], title: str) -> None:
    """AP over the iterations: each row's mean, a band of one standard deviation, the teacher."""
    figure = Figure(figsize=(10, 5.5))
    axes = new_axes(figure, title, "iterations", "AP")
    for row, style in styles_of(rows).items():
        curves = [_points(r["AP_curve"], "AP") for r in row.records.values()]
        _draw_mean(axes, curves, style, row.name)
    draw_teacher(rows, axes.axhline)
    save(figure, path)


def draw_gates(path: Path, rows: Sequence[TableRow], title: str) -> None:
    """The share of regions in which the teacher won, over the iterations: each row's mean."""
    _draw_scalars(path, rows, title, GATES, "share where the teacher is better", ylim=(0, 1))


def draw_scales(path: Path, rows: Sequence[TableRow], title: str) -> None:
    """What the balance multiplies each term by, over the iterations: each row's mean."""
    _draw_scalars(path, rows, title, SCALES, "scale", yscale="log")


def has_gates(rows: Sequence[TableRow]) -> bool:
    """Whether any record has a gate."""
    return _have_any(rows, GATES)


def has_scales(rows: Sequence[TableRow]) -> bool:
    """Whether any record has a scale of the balance."""
    return _have_any(rows, SCALES)


def mean_and_sd(curves: Sequence[Mapping[int, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Iterations (P,) that all curves have, ascending, mean values (P,) and their sample standard
    deviations (P,), which are 0 of a single curve.
    """
    iterations = sorted(set.intersection(*(set(curve) for curve in curves)))
    values = np.array([[curve[i] for i in iterations] for curve in curves])
    sd = values.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros(len(iterations))
    return np.array(iterations), values.mean(axis=0), sd


def _draw_scalars(
    path: Path, rows: Sequence[TableRow], title: str, names: Mapping[str, str], ylabel: str, **y
) -> None:
    """Axes side by side, one for each of the scalars that any record has (one does)."""
    styles = styles_of(rows)
    curves = {name: {row: curves_of(row, name) for row in styles} for name in names}
    curves = {name: by_row for name, by_row in curves.items() if any(by_row.values())}
    figure = Figure(figsize=(max(5 * len(curves), 7), 5))
    for place, (name, by_row) in enumerate(curves.items(), start=1):
        where = (1, len(curves), place)
        axes = new_axes(figure, names[name].capitalize(), "iterations", ylabel, where)
        axes.sharey(figure.axes[0])
        axes.set(**y)
        if axes.get_yscale() == "log":
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_locator(NullLocator())
        for row, found in by_row.items():
            if found:
                _draw_mean(axes, found, styles[row], row.name)
    figure.subplots_adjust(wspace=0.3, top=0.8)
    left = figure.axes[0].get_position().x0
    figure.suptitle(title, x=left, y=0.96, ha="left", fontweight="bold", color=INK)
    save(figure, path)


def _draw_mean(axes: Axes, curves: Sequence[Mapping[int, float]], style: dict, name: str) -> None:
    iterations, mean, sd = mean_and_sd(curves)
    axes.plot(iterations, mean, label=name, linewidth=1.8, **style)
    axes.fill_between(iterations, mean - sd, mean + sd, color=style["color"], alpha=0.15, lw=0)


def _have_any(rows: Sequence[TableRow], names: Mapping[str, str]) -> bool:
    return any(curves_of(row, name) for row in rows for name in names)


def curves_of(row: TableRow, name: str) -> list[dict[int, float]]:
    """The curves of a scalar of the distillation, of those seeds whose records have it."""
    curves = (_points(record.get("gates", {}), name) for record in row.records.values())
    return [curve for curve in curves if curve]


def _points(curve: Mapping[str, Sequence], name: str) -> dict[int, float]:
    pairs = zip(curve.get("iteration", ()), curve.get(name, ()), strict=False)
    return {iteration: value for iteration, value in pairs if value is not None}
