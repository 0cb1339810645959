"""The picture of how what we add to a step grows."""

from pathlib import Path

from colours import BLUE, GREEN, INK, ORANGE, PURPLE, SKY
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .parts import BACKWARD, OURS

COLOURS = {
    "sharing": ORANGE,
    "mask": SKY,
    "adapters": GREEN,
    "terms": BLUE,
    "gates": PURPLE,
    "rest of ours": "#999999",
}
DIFFERENCE, ALL = "c - (a + b)", "all of ours"


def draw_growth(axes: dict, path: Path) -> None:
    """One panel an axis: milliseconds of each part, forward and backward together, of all of ours,
    and what c takes above a + b, with its quartiles. Both scales are logarithmic, that of the
    milliseconds but for what is near zero: c - (a + b), of two large times, can be below.

    Args:
        axes: ``axes`` of ``growth.json``.
        path: of the PNG.
    """
    figure = Figure(figsize=(15, 8.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 3).flat
    for panel, (name, measured) in zip(panels, axes.items(), strict=False):
        _draw_axis(panel, name, measured["points"])
    for panel in list(panels)[len(axes) :]:
        panel.set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.savefig(path, dpi=100)


def _draw_axis(panel, name: str, points: list[dict]) -> None:
    sizes = [point["size"] for point in points]
    for part in OURS:
        seconds = [_both_ways(point["parts"], part) for point in points]
        if any(seconds):
            panel.plot(sizes, [1e3 * s for s in seconds], color=COLOURS[part], label=part)
    panel.plot(sizes, [1e3 * p["ours"] for p in points], color=INK, linewidth=2.5, label=ALL)
    middle = [1e3 * p[DIFFERENCE]["median"] for p in points]
    spread = [
        [1e3 * abs(p[DIFFERENCE]["median"] - p[DIFFERENCE][q]) for p in points]
        for q in ("q1", "q3")
    ]
    panel.errorbar(sizes, middle, spread, fmt="o", color=INK, capsize=3, label=DIFFERENCE)
    panel.axhline(0, color=INK, linewidth=0.8)
    panel.set(xscale="log", xlabel=name, ylabel="ms a step")
    panel.set_yscale("symlog", linthresh=1)
    panel.yaxis.set_major_formatter("{x:g}")
    panel.set_xticks(sizes, [str(size) for size in sizes])
    panel.margins(y=0.08)
    panel.minorticks_off()
    panel.grid(color="#E4E4E4")


def _both_ways(parts: dict[str, float], part: str) -> float:
    backward = [name for name, of in BACKWARD.items() if of == part]
    return parts.get(part, 0.0) + sum(parts.get(name, 0.0) for name in backward)
