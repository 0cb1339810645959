"""Pictures with a line a row and a dot a seed: the last AP, what it is over the baseline's or the
defaults', and the last AP of several tables.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from colours import BASELINE_COLOUR, DISTILLED_COLOUR, PATIENT_COLOUR, TEACHER_COLOUR
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .canvas import draw_teacher, new_axes, save, styles_of
from .comparison import Comparison
from .overview import Setting
from .table import BASELINE, DEFAULTS, TableRow, aps_by_seed, spread

# What a setting has, and the colour and the height of each about the setting's own.
PARTS = {
    "baseline": (BASELINE_COLOUR, -0.25),
    "distilled": (DISTILLED_COLOUR, 0.0),
    "baseline, about as much time": (PATIENT_COLOUR, 0.25),
}


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


def draw_comparison(path: Path, comparison: Comparison) -> None:
    """Of several tables, axes each: the AP over the defaults' with the same seed, of the baseline
    first.
    """
    columns, names = len(comparison.tables), [BASELINE, *comparison.names]
    figure = Figure(figsize=(2.5 + 3.5 * columns, 1.5 + 0.32 * len(names)))
    titled = zip(comparison.tables, comparison.titles, strict=True)
    for place, (table, title) in enumerate(titled, start=1):
        where = (1, columns, place)
        axes = new_axes(figure, title, "AP over the defaults", "", where, "x")
        defaults = comparison.rows[DEFAULTS, table]
        if defaults.gains:
            behind = [-gain for gain in defaults.gains.values()]
            _draw_row(axes, 0, behind, BASELINE_COLOUR)
        for height, name in enumerate(comparison.names, start=1):
            row = comparison.rows.get((name, table))
            if row:
                _draw_row(axes, height, list(row.beside_defaults.values()), DISTILLED_COLOUR)
        axes.axvline(0, color=BASELINE_COLOUR, linewidth=1)
        _name_rows(axes, names if place == 1 else [""] * len(names))
    save(figure, path)


def draw_overview(path: Path, settings: Sequence[Setting]) -> None:
    """Of each setting the last AP of its students, one below the other, and of its teacher."""
    figure = Figure(figsize=(8, 1.5 + 0.62 * len(settings)))
    axes = new_axes(figure, "", "AP", "", grid="x")
    for height, setting in enumerate(settings):
        rows = (setting.baseline, setting.distilled, setting.patient)
        for row, (label, (colour, above)) in zip(rows, PARTS.items(), strict=True):
            if row:
                aps = list(aps_by_seed(row.records).values())
                _draw_row(axes, height + above, aps, colour, 0.11, label)
        if setting.teacher:
            ap = setting.teacher.scores["AP"].mean
            axes.plot(
                [ap] * 2,
                [height - 0.36, height + 0.36],
                color=TEACHER_COLOUR,
                linestyle="--",
                label="teacher",
            )
    _name_rows(axes, [f"{s.title}\n{s.iterations:,} iterations" for s in settings])
    save(figure, path, legend_above=True)


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
        _draw_row(axes, height, of_row, styles[row]["color"])
    _name_rows(axes, [row.name for row in known])
    return figure, axes


def _draw_row(
    axes: Axes,
    height: float,
    of_seeds: Sequence[float],
    colour: str,
    half: float = 0.3,
    label: str | None = None,
) -> None:
    """``half``: of the bar's height. A single seed is hollow."""
    over_seeds = spread(of_seeds)
    middle, sd = over_seeds.mean, over_seeds.sd or 0
    axes.plot([middle] * 2, [height - half, height + half], color=colour, linewidth=2)
    axes.barh(height, 2 * sd, 2 * half, middle - sd, color=colour, alpha=0.2)
    axes.plot(
        of_seeds,
        [height] * len(of_seeds),
        "o",
        color=colour,
        markersize=4,
        fillstyle="none" if over_seeds.n == 1 else "full",
        label=label,
    )


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
