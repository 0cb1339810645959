"""The whole page: on top the curves, below them images with what each model detects."""

from colours import GREY, INK
from matplotlib import rc_context

from .curves import CURVE_STYLES, draw_ap, draw_gates, last_iteration
from .detections import draw_detections, draw_ground_truth, draw_legend
from .palette import MODEL_COLOURS, MODELS, STYLE
from .sheet import Sheet

WIDTH = 1600  # all lengths are pixels
MARGIN, GAP = 40, 18
HEADER, CURVES, CURVES_TOP, GRID_TOP, CAPTION, FOOTER = 118, 360, 52, 134, 42, 56
MAX_ASPECT = 0.95  # of a row's height to a cell's width

COLUMNS = ("ground truth", *MODELS)
CELL = (WIDTH - 2 * MARGIN - (len(COLUMNS) - 1) * GAP) / len(COLUMNS)
COLUMN_LEFTS = tuple(MARGIN + column * (CELL + GAP) for column in range(len(COLUMNS)))
IMAGES_TOP = HEADER + CURVES_TOP + CURVES + GRID_TOP


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

    rows = row_heights(images)
    with rc_context(STYLE):
        sheet = Sheet(WIDTH, round(IMAGES_TOP + sum(rows) + CAPTION * len(rows) + FOOTER))
        sheet.write(MARGIN, 30, title, fontsize=27, fontweight="bold")
        sheet.write(MARGIN, 80, subtitle, fontsize=16, color=GREY)
        add_curves(sheet, ap_curves, teacher_ap, gate_curves)
        add_images(sheet, images, rows, class_names, score_threshold)
        add_footer(sheet, score_threshold)
        sheet.save_compactly(path)


def row_heights(images):
    """Each row's height: its image as wide as a cell, unless that would make the page too long."""
    shapes = [example["image"].shape[:2] for example in images]
    return [CELL * min(MAX_ASPECT, height / width) for height, width in shapes]


def add_curves(sheet, ap_curves, teacher_ap, gate_curves):
    """AP to the left, gates to the right, over the same iterations."""
    top, half = HEADER + CURVES_TOP, WIDTH / 2
    ap_axes = sheet.add_axes(MARGIN + 36, top, half - MARGIN - 226, CURVES)
    gate_axes = sheet.add_axes(half + 68, top, half - 68 - MARGIN - 160, CURVES)
    draw_ap(ap_axes, ap_curves, teacher_ap)
    draw_gates(gate_axes, gate_curves)
    for axes in (ap_axes, gate_axes):
        axes.set_xlim(0, last_iteration(ap_curves, gate_curves))


def add_images(sheet, images, rows, class_names, score_threshold):
    """A row an image: its ground truth, then what each model detects in it."""
    for left, name in zip(COLUMN_LEFTS, COLUMNS, strict=True):
        colour = MODEL_COLOURS.get(name, INK)
        sheet.write(left, IMAGES_TOP - 44, name, fontsize=18, fontweight="bold", color=colour)
    top = IMAGES_TOP
    for example, height in zip(images, rows, strict=True):
        truth, *cells = (sheet.add_axes(left, top, CELL, height) for left in COLUMN_LEFTS)
        draw_ground_truth(truth, example, class_names)
        for axes, model in zip(cells, MODELS, strict=True):
            draw_detections(axes, example, model, class_names, score_threshold)
        top += height + CAPTION


def add_footer(sheet, score_threshold):
    """Which detections are shown, and what their colours mean."""
    middle = sheet.height - FOOTER / 2
    note = f"Detections with a score of at least {score_threshold:.0%}."
    sheet.write(MARGIN, middle - 11, note, fontsize=14, color=GREY)
    draw_legend(sheet.figure, *sheet.at(WIDTH - MARGIN, middle))
