"""An image with its ground truth or with a model's detections."""

import numpy as np
from colours import GREY, INK
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke

from .judging import judge_detections
from .labels import draw_labels

CORRECT, WRONG, MISSED = "#009E73", "#D5391A", "#F0E442"


def draw_ground_truth(axes, example, class_names):
    """The image with its ground truth, and how many objects there are."""
    boxes, classes = example["gt"]
    show_image(axes, example["image"])
    for box in boxes:
        draw_box(axes, box, INK, "white")
    names = [class_names[int(label)] for label in classes]
    draw_labels(axes, boxes, names, [INK] * len(boxes))
    write_tally(axes, [(f"{len(boxes)} object{'s' * (len(boxes) != 1)}", GREY)])


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
    best_first = np.argsort(-scores, kind="stable")
    colours = np.where(correct, CORRECT, WRONG)
    for i in best_first[::-1]:
        draw_box(axes, boxes[i], colours[i], "white")
    texts = [
        f"{'' if correct[i] else '✗ '}{class_names[int(classes[i])]}  {100 * scores[i]:.0f}%"
        for i in best_first
    ]
    draw_labels(axes, boxes[best_first], texts, colours[best_first])
    right, wrong, lost = correct.sum(), (~correct).sum(), missed.sum()
    write_tally(
        axes,
        [
            (f"{right} right", CORRECT if right else GREY),
            (f"{wrong} wrong", WRONG if wrong else GREY),
            (f"{lost} missed", "#8A7A00" if lost else GREY),
        ],
    )


def show_image(axes, image):
    """The image without axes, whole, at the left of its cell, below its column's name."""
    height, width = image.shape[:2]
    axes.imshow(image, extent=(0, width, height, 0), interpolation="bicubic")
    axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    axes.set_anchor("W")
    axes.spines[:].set_visible(False)


def draw_box(axes, box, colour, halo, dashes="-"):
    """One box with a halo that sets it off from any background."""
    x0, y0, x1, y1 = box
    outline = Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=2.6)
    outline.set_linestyle(dashes)
    outline.set_path_effects([Stroke(linewidth=4.6, foreground=halo, alpha=0.75), Normal()])
    axes.add_patch(outline)


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


def draw_legend(figure, x, y):
    """What the colours of the boxes mean; it ends at ``x``, in shares of the figure."""
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
        bbox_to_anchor=(x, y),
        ncols=3,
        frameon=False,
        fontsize=14,
        borderaxespad=0,
        borderpad=0,
        columnspacing=1.6,
        handlelength=1.8,
    )
