"""The demo's picture: what distillation did, as curves and as detections side by side.

``draw_results`` takes plain numbers and arrays and writes one PNG: on top AP over the iterations,
and the gates with the decay weight; below, the same val images with the ground truth and with each
model's detections, coloured by whether they are right.

Colours are Okabe and Ito's, which most colour-blind readers can tell apart; right and wrong differ
by a mark as well, and what was missed by its dashes.
"""

from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import MaxNLocator
from PIL import Image

MODELS = ("baseline", "distilled", "teacher")
MODEL_COLOURS = {"baseline": "#D98200", "distilled": "#0072B2", "teacher": "#4A4A4A"}
CURVE_STYLES = {  # label, colour, dashes
    "gate_logit": ("logit gate", "#B8558A", "-"),
    "gate_box": ("box gate", "#2F97D0", "-"),
    "gate_feature": ("feature gate", "#009E73", "-"),
    "decay": ("decay w(t)", "#4A4A4A", "--"),
}
CORRECT, WRONG, MISSED = "#009E73", "#D5391A", "#F0E442"
INK, SOFT_INK, GRID = "#1E1E1E", "#6B6B6B", "#E4E4E4"

DPI = 100
WIDTH = 1600  # all lengths below are pixels
MARGIN, GAP = 40, 18
HEADER, CURVES, CURVES_TOP, GRID_TOP, CAPTION, FOOTER = 118, 360, 52, 134, 42, 56
MAX_ASPECT = 0.95  # of a row's height to a cell's width
STYLE = {
    "font.size": 15,
    "text.color": INK,
    "axes.labelcolor": SOFT_INK,
    "xtick.color": SOFT_INK,
    "ytick.color": SOFT_INK,
    "axes.edgecolor": "#B5B5B5",
}


# ------------------------------------------------------------------------------------- judging


def pairwise_iou(boxes1, boxes2):
    """IoU of XYXY boxes (N, 4) and (M, 4): (N, M)."""
    top_left = np.maximum(boxes1[:, None, :2], boxes2[None, :, :2])
    bottom_right = np.minimum(boxes1[:, None, 2:], boxes2[None, :, 2:])
    intersection = np.clip(bottom_right - top_left, 0, None).prod(axis=2)
    areas1, areas2 = ((b[:, 2:] - b[:, :2]).prod(axis=1) for b in (boxes1, boxes2))
    union = areas1[:, None] + areas2[None, :] - intersection
    return intersection / np.maximum(union, 1e-9)


def judge_detections(gt_boxes, gt_classes, boxes, scores, classes, iou_threshold=0.5):
    """Which detections are right, and which objects nobody found.

    As in COCO's evaluation, detections choose in the order of their scores: each takes, of the
    ground truth of its class that is still free, the box that it overlaps most, and is right when
    their IoU reaches the threshold. A second detection of the same object is wrong.

    Args:
        gt_boxes (ndarray): (G, 4) XYXY.
        gt_classes (ndarray): (G,).
        boxes (ndarray): (D, 4) XYXY.
        scores (ndarray): (D,).
        classes (ndarray): (D,).
        iou_threshold (float): least IoU of a right detection.

    Returns:
        tuple[ndarray, ndarray]: ``correct`` (D,) bool and ``missed`` (G,) bool.
    """
    gt_boxes = np.asarray(gt_boxes, dtype=np.float64).reshape(-1, 4)
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    gt_classes, classes = np.asarray(gt_classes), np.asarray(classes)
    correct, missed = np.zeros(len(boxes), bool), np.ones(len(gt_boxes), bool)
    if len(gt_boxes) == 0:
        return correct, missed
    iou = pairwise_iou(boxes, gt_boxes)
    for detection in np.argsort(-np.asarray(scores), kind="stable"):
        free = missed & (gt_classes == classes[detection])
        candidates = np.where(free, iou[detection], -1)
        best = candidates.argmax()
        if candidates[best] >= iou_threshold:
            correct[detection], missed[best] = True, False
    return correct, missed


# -------------------------------------------------------------------------------------- curves


def mean_curve(curves):
    """The mean of several seeds' curves, at the iterations that all of them have.

    Args:
        curves (dict): seed to ``[(iteration, value), …]``.

    Returns:
        tuple[ndarray, ndarray]: iterations (P,), ascending, and mean values (P,).
    """
    tables = [dict(curve) for curve in curves.values()]
    iterations = sorted(set.intersection(*(set(table) for table in tables)))
    means = [np.mean([table[iteration] for table in tables]) for iteration in iterations]
    return np.array(iterations), np.array(means)


def running_mean(values, window):
    """Centred mean over at most ``window`` values (N,), shorter at the ends: (N,)."""
    half = window // 2
    return np.array([np.mean(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])


def spread_labels(heights, gap):
    """Move label heights apart until neighbours are at least ``gap`` apart, keeping their order."""
    order = np.argsort(heights, kind="stable")
    placed = np.array(heights, dtype=np.float64)[order]
    for _ in range(200):
        lack = gap - np.diff(placed)
        if (lack <= 1e-6).all():
            break
        push = np.clip(lack, 0, None) / 2
        placed[:-1] -= push
        placed[1:] += push
    spread = np.empty_like(placed)
    spread[order] = placed
    return spread


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


def last_iteration(ap_curves, gate_curves):
    """Where both panels end."""
    curves = [curve for seeds in ap_curves.values() for curve in seeds.values()]
    return max(iteration for curve in (*curves, *gate_curves.values()) for iteration, _ in curve)


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
    style_curve_axes(axes, "Gates: share of regions where the teacher wins", "iteration")
    label_curves(axes, labels, 0.09)


# ---------------------------------------------------------------------------------- detections


def draw_box(axes, box, colour, halo, text="", dashes="-"):
    """One box with a halo that sets it off from any background, its label at its top."""
    x0, y0, x1, y1 = box
    outline = Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=2.6)
    outline.set_linestyle(dashes)
    outline.set_path_effects([Stroke(linewidth=4.6, foreground=halo, alpha=0.75), Normal()])
    axes.add_patch(outline)
    if text:
        top_edge = axes.get_ylim()[1]
        inside = y0 < top_edge + 11  # no room above: hang the label into the box
        axes.annotate(
            text,
            (x0, y0),
            xytext=(0, -2 if inside else 1),
            textcoords="offset points",
            ha="left",
            va="top" if inside else "bottom",
            color="white",
            fontsize=12.5,
            fontweight="bold",
            bbox={"boxstyle": "square,pad=0.16", "facecolor": colour, "edgecolor": "none"},
        )


def show_image(axes, image):
    """The image without axes, whole, at the left of its cell, below its column's name."""
    height, width = image.shape[:2]
    axes.imshow(image, extent=(0, width, height, 0), interpolation="bicubic")
    axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    axes.set_anchor("W")
    axes.spines[:].set_visible(False)


def draw_ground_truth(axes, example, class_names):
    """The image with its ground truth, and how many objects there are."""
    boxes, classes = example["gt"]
    show_image(axes, example["image"])
    for box, label in zip(boxes, classes, strict=True):
        draw_box(axes, box, INK, "white", class_names[int(label)])
    write_tally(axes, [(f"{len(boxes)} object{'s' * (len(boxes) != 1)}", SOFT_INK)])


def draw_detections(axes, example, model, class_names, score_threshold):
    """The image with a model's detections, right and wrong, what it missed, and the tally."""
    gt_boxes, gt_classes = (np.asarray(values) for values in example["gt"])
    boxes, scores, classes = (np.asarray(values) for values in example["detections"][model])
    shown = scores >= score_threshold
    boxes, scores, classes = boxes[shown], scores[shown], classes[shown]
    correct, missed = judge_detections(gt_boxes, gt_classes, boxes, scores, classes)

    show_image(axes, example["image"])
    for box in gt_boxes[missed]:
        draw_box(axes, box, MISSED, "#222222", dashes=(0, (2.5, 1.5)))
    for i in np.argsort(scores, kind="stable"):
        name, score = class_names[int(classes[i])], round(100 * float(scores[i]))
        colour, mark = (CORRECT, "") if correct[i] else (WRONG, "✗ ")
        draw_box(axes, boxes[i], colour, "white", f"{mark}{name}  {score}%")
    right, wrong, lost = correct.sum(), (~correct).sum(), missed.sum()
    write_tally(
        axes,
        [
            (f"{right} right", CORRECT if right else SOFT_INK),
            (f"{wrong} wrong", WRONG if wrong else SOFT_INK),
            (f"{lost} missed", "#8A7A00" if lost else SOFT_INK),
        ],
    )


def write_tally(axes, parts):
    """Coloured words on one line, right below the image."""
    x = 0.0
    for text, colour in parts:
        axes.annotate(
            text,
            (0, 0),
            xycoords="axes fraction",
            xytext=(x, -6),
            textcoords="offset points",
            va="top",
            color=colour,
            fontsize=14,
        )
        x += 8.2 * len(text) + 16  # points; digits and lower-case letters at this size


def draw_legend(figure, y):
    """What the colours of the boxes mean."""
    outline = [Stroke(linewidth=5, foreground="#222222", alpha=0.75), Normal()]
    handles = [
        Line2D([], [], color=CORRECT, linewidth=4, label="right class, IoU at least 0.5"),
        Line2D([], [], color=WRONG, linewidth=4, label="✗  wrong"),
        Line2D(
            [],
            [],
            color=MISSED,
            linewidth=3,
            linestyle=(0, (2.5, 1.5)),
            label="missed",
            path_effects=outline,
        ),
    ]
    figure.legend(
        handles=handles,
        loc="center right",
        bbox_to_anchor=(1 - MARGIN / WIDTH, y),
        ncols=3,
        frameon=False,
        fontsize=14,
        borderaxespad=0,
        borderpad=0,
        columnspacing=1.6,
        handlelength=1.8,
    )


# ------------------------------------------------------------------------------- the whole page


def cell_heights(images, cell_width):
    """Each row's height: its image as wide as a cell, unless that would make the page too long."""
    shapes = [example["image"].shape[:2] for example in images]
    return [cell_width * min(MAX_ASPECT, height / width) for height, width in shapes]


def save_compactly(figure, path):
    """Write the PNG with 52 levels a channel: to the eye the same, at half the bytes."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    levels = np.round(pixels / 5).astype(np.uint8) * 5
    Image.fromarray(levels).save(Path(path), format="PNG", optimize=True)


def draw_results(
    path,
    ap_curves,
    teacher_ap,
    gate_curves,
    images,
    class_names,
    title="Task-adaptive distillation",
    subtitle="",
    score_threshold=0.5,
):
    """Write the picture, 1600 pixels wide, as a PNG.

    Args:
        path (str or Path): the file to write; its folder must exist.
        ap_curves (dict): ``"baseline"`` and ``"distilled"`` to {seed: [(iteration, AP), …]}, AP in
            percent.
        teacher_ap (float): percent.
        gate_curves (dict): any of ``gate_logit``, ``gate_box``, ``gate_feature`` and ``decay`` to
            [(iteration, share in [0, 1]), …].
        images (list[dict]): one a row: ``image`` (H, W, 3) uint8 RGB; ``gt``: boxes (G, 4) XYXY and
            classes (G,); ``detections``: ``"baseline"``, ``"distilled"`` and ``"teacher"`` to boxes
            (D, 4), scores (D,), classes (D,).
        class_names (sequence[str]): by class index.
        title (str): the head of the page.
        subtitle (str): one line below it.
        score_threshold (float): detections below it are neither drawn nor counted.

    Raises:
        ValueError: for a model or curve of another name, or when there is nothing to draw.
    """
    if not images:
        raise ValueError("images must have at least one image, got none")
    for curves, known, what in (
        (ap_curves, ("baseline", "distilled"), "ap_curves"),
        (gate_curves, CURVE_STYLES, "gate_curves"),
    ):
        if not curves or not set(curves) <= set(known):
            raise ValueError(f"{what} must have some of {tuple(known)}, got {tuple(curves)}")

    columns = 1 + len(MODELS)
    cell_width = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) / columns
    rows = cell_heights(images, cell_width)
    grid_top = HEADER + CURVES_TOP + CURVES + GRID_TOP
    page = round(grid_top + sum(rows) + CAPTION * len(rows) + FOOTER)

    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH / DPI, page / DPI), dpi=DPI, facecolor="white")

        def add_axes(left, top, width, height):
            """Axes by their top left corner, in pixels from the page's."""
            bounds = (left / WIDTH, 1 - (top + height) / page, width / WIDTH, height / page)
            return figure.add_axes(bounds)

        def write(left, top, text, **style):
            figure.text(left / WIDTH, 1 - top / page, text, va="top", **style)

        write(MARGIN, 30, title, fontsize=27, fontweight="bold")
        write(MARGIN, 80, subtitle, fontsize=16, color=SOFT_INK)

        half = WIDTH / 2
        top = HEADER + CURVES_TOP
        ap_axes = add_axes(MARGIN + 36, top, half - MARGIN - 226, CURVES)
        gate_axes = add_axes(half + 68, top, half - 68 - MARGIN - 160, CURVES)
        draw_ap(ap_axes, ap_curves, teacher_ap)
        draw_gates(gate_axes, gate_curves)
        for axes in (ap_axes, gate_axes):
            axes.set_xlim(0, last_iteration(ap_curves, gate_curves))

        top = grid_top - 44
        for column, name in enumerate(("ground truth", *MODELS)):
            left = MARGIN + column * (cell_width + GAP)
            colour = MODEL_COLOURS.get(name, INK)
            write(left, top, name, fontsize=18, fontweight="bold", color=colour)
        draw_legend(figure, 1 - (page - FOOTER / 2) / page)
        note = f"Detections with a score of at least {score_threshold:.0%}."
        write(MARGIN, page - FOOTER / 2 - 11, note, fontsize=14, color=SOFT_INK)

        top = grid_top
        for example, height in zip(images, rows, strict=True):
            for column in range(columns):
                axes = add_axes(MARGIN + column * (cell_width + GAP), top, cell_width, height)
                if column == 0:
                    draw_ground_truth(axes, example, class_names)
                else:
                    model = MODELS[column - 1]
                    draw_detections(axes, example, model, class_names, score_threshold)
            top += height + CAPTION
        save_compactly(figure, path)
