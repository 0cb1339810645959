"""AP, gates and decay over the iterations."""

import numpy as np
from colours import GRID
from matplotlib.ticker import MaxNLocator

from .palette import MODEL_COLOURS
from .series import mean_curve, running_mean, spread_labels

CURVE_STYLES = {  # label, colour, dashes
    "gate_logit": ("logit gate", "#B8558A", "-"),
    "gate_box": ("box gate", "#2F97D0", "-"),
    "gate_feature": ("feature gate", "#009E73", "-"),
    "decay": ("decay w(t)", "#4A4A4A", "--"),
}


def draw_ap(axes, ap_curves, teacher_ap):
    """AP over the iterations: a thin line a seed, a bold one for their mean, dashes the teacher."""
    colour = MODEL_COLOURS["teacher"]
    axes.axhline(teacher_ap, color=colour, linestyle=(0, (5, 3)), linewidth=2.5)
    labels = [(teacher_ap, f"teacher  {teacher_ap:.1f}", colour)]
    for model, curves in ap_curves.items():
        colour = MODEL_COLOURS[model]
        iterations, means = mean_curve(curves)
        if len(curves) > 1:
            for curve in curves.values():
                axes.plot(*np.transpose(sorted(curve)), color=colour, linewidth=1.2, alpha=0.45)
        axes.plot(iterations, means, color=colour, linewidth=4, solid_capstyle="round")
        axes.plot(iterations[-1], means[-1], "o", color=colour, markersize=9, clip_on=False)
        labels.append((means[-1], f"{model}  {means[-1]:.1f}", colour))
    top = 1.08 * max(teacher_ap, *(value for value, _, _ in labels), 1)
    axes.set_ylim(0, top)
    seeds = max(len(curves) for curves in ap_curves.values())
    note = f", mean of {seeds} seeds" if seeds > 1 else ""
    style_curve_axes(axes, f"AP on the val images{note}", "iteration")
    label_curves(axes, labels, 0.085 * top)


def draw_gates(axes, gate_curves):
    """The share of regions in which the teacher won, a running mean over its points, and w(t)."""
    labels = []
    for name, curve in gate_curves.items():
        label, colour, dashes = CURVE_STYLES[name]
        iterations, values = np.transpose(sorted(curve))
        if name == "decay":
            smooth = values
            axes.plot(iterations, values, color=colour, linestyle=dashes, linewidth=2.5)
        else:
            smooth = running_mean(values, max(1, len(values) // 12))
            axes.plot(iterations, values, color=colour, linewidth=1.2, alpha=0.35)
            axes.plot(iterations, smooth, color=colour, linewidth=4, solid_capstyle="round")
        labels.append((smooth[-1], label, colour))
    axes.set(ylim=(-0.02, 1.1), yticks=[0, 0.25, 0.5, 0.75, 1])
    style_curve_axes(axes, "Gates (share of the teacher's wins) and decay", "iteration")
    label_curves(axes, labels, 0.09)


def last_iteration(ap_curves, gate_curves):
    """Where both panels end."""
    curves = [curve for seeds in ap_curves.values() for curve in seeds.values()]
    return max(iteration for curve in (*curves, *gate_curves.values()) for iteration, _ in curve)


def style_curve_axes(axes, title, xlabel):
    """Horizontal grid lines only, no box, the title above the left corner."""
    axes.set_title(title, loc="left", fontsize=18, fontweight="bold", pad=14)
    axes.set_xlabel(xlabel)
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, pad=6)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def label_curves(axes, labels, gap):
    """Name the curves at their right ends, in their colours.

    Args:
        axes (Axes): where the curves are.
        labels (list[tuple]): (value at the right end, text, colour) of each curve.
        gap (float): least distance of two labels, in the axis's units.
    """
    heights = spread_labels([value for value, _, _ in labels], gap)
    for height, (_, text, colour) in zip(heights, labels, strict=True):
        axes.annotate(
            text,
            (1, height),
            xycoords=("axes fraction", "data"),
            xytext=(10, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontweight="bold",
            annotation_clip=False,
        )
