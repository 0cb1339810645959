"""Pictures with a line a row and a dot a seed: the last AP, and what it is over the baseline's."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .canvas import BASELINE_COLOUR, draw_teacher, new_axes, save, styles_of
from .table import TableRow, spread


def draw_final(path: Path, rows: Sequence[TableRow], title: str) -> None:
    """The last AP: each seed a dot, the mean a line, one standard deviation a bar."""
    values = {row: [r["scores"]["AP"] for r in row.records.values()] for row in rows}
    figure, axes = _draw_dots(values, title, "AP")
    draw_teacher(rows, axes.axvline)
    save(figure, path)


def draw_gain(path: Path, rows: Sequence[TableRow], title: str) -> None:
    """The same of the AP over the baseline's with the same seed."""
    values = {row: list(row.gains.values()) for row in rows}
    figure, axes = _draw_dots(values, title, "AP over the baseline, paired by seed")
    axes.axvline(0, color=BASELINE_COLOUR, linewidth=1)
    save(figure, path)


def has_gains(rows: Sequence[TableRow]) -> bool:
    """Whether any row has a seed that the baseline has too."""
    return any(row.gains for row in rows)


def _draw_dots(
    values: Mapping[TableRow, Sequence[float | None]], title: str, xlabel: str
) -> tuple[Figure, Axes]:
    """Of the rows that were trained and have any value."""
    styles = styles_of(list(values))
    known = {row: [v for v in values[row] if v is not None] for row in styles}
    known = {row: of_row for row, of_row in known.items() if of_row}
    figure = Figure(figsize=(10, 1.5 + 0.32 * len(known)))
    axes = new_axes(figure, title, xlabel, "", grid="x")
    for height, (row, of_row) in enumerate(known.items()):
        colour, over_seeds = styles[row]["color"], spread(of_row)
        middle, sd = over_seeds.mean, over_seeds.sd or 0
        axes.plot([middle] * 2, [height - 0.3, height + 0.3], color=colour, linewidth=2)
        axes.barh(height, 2 * sd, 0.6, middle - sd, color=colour, alpha=0.2)
        axes.plot(of_row, [height] * len(of_row), "o", color=colour, markersize=4)
    axes.set_yticks(range(len(known)), [row.name for row in known])
    axes.set_ylim(len(known) - 0.4, -0.6)
    return figure, axes
