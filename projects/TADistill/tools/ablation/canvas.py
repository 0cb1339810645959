"""What all pictures have: a row's colour and dashes, axes, one legend, a file."""

from collections.abc import Mapping, Sequence
from itertools import cycle, product
from pathlib import Path

from colours import (
    BASELINE_COLOUR,
    DISTILLED_COLOUR,
    GRID,
    OTHERS,
    PATIENT_COLOUR,
    TEACHER_COLOUR,
)
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .table import BASELINE, DEFAULTS, PATIENT, TableRow

OWN_COLOURS = {BASELINE: BASELINE_COLOUR, DEFAULTS: DISTILLED_COLOUR, PATIENT: PATIENT_COLOUR}
DASHES = ("-", "--", ":", "-.")
STYLE = {"font.size": 11, "axes.edgecolor": "#B5B5B5", "text.color": BASELINE_COLOUR}
DPI = 110


def styles_of(rows: Sequence[TableRow]) -> dict[TableRow, Mapping[str, str]]:
    """Colour and dashes of the rows that were trained. Those of the rows that most pictures have
    are the same in all of them.
    """
    styles = {}
    others = cycle(product(DASHES, OTHERS))
    for row in rows:
        if row.name in OWN_COLOURS:
            styles[row] = {"color": OWN_COLOURS[row.name], "linestyle": "-"}
        elif not row.is_teacher:
            dashes, colour = next(others)
            styles[row] = {"color": colour, "linestyle": dashes}
    return styles


def new_axes(
    figure: Figure,
    title: str,
    xlabel: str,
    ylabel: str,
    place: tuple[int, int, int] = (1, 1, 1),
    grid: str = "y",
) -> Axes:
    """Axes with their title at the left.

    Args:
        figure: that they are added to.
        title: above them.
        xlabel: of what lies to the right.
        ylabel: of what lies upwards.
        place: rows and columns of axes in the figure, and which of them, from 1.
        grid: the axis whose ticks have a line, "x" or "y".
    """
    with rc_context(STYLE):
        axes = figure.add_subplot(*place)
        axes.set_title(title, loc="left", fontweight="bold")
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.grid(axis=grid, color=GRID)
        axes.set_axisbelow(True)
        axes.use_sticky_edges = False  # a bar is not to end where its axes do
        axes.spines[["top", "right"]].set_visible(False)
    return axes


def draw_teacher(rows: Sequence[TableRow], line) -> None:
    """The AP of the teacher, or of several, by the axes' ``axhline`` or ``axvline``."""
    teachers = [row for row in rows if row.is_teacher and row.scores["AP"] is not None]
    for row, dashes in zip(teachers, cycle(DASHES[1:])):
        line(row.scores["AP"].mean, color=TEACHER_COLOUR, linestyle=dashes, label=row.name)


def save(figure: Figure, path: Path, legend_above: bool = False) -> None:
    """With one legend for all axes, of which one may lack a row that another has.

    Args:
        figure: to be saved.
        path: of the file.
        legend_above: the last axes, in one line, instead of at their right.
    """
    place = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)}
    if legend_above:
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "ncols": 4}
    labelled = [axes.get_legend_handles_labels() for axes in figure.axes]
    by_label = {label: handle for pair in labelled for handle, label in zip(*pair, strict=True)}
    if by_label:
        figure.axes[-1].legend(
            by_label.values(),
            by_label.keys(),
            frameon=False,
            fontsize=10,
            **place,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=DPI, bbox_inches="tight", metadata={"Software": None})
