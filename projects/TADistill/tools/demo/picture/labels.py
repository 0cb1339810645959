"""Labels of boxes, each at its box and, where there is room, on no other label."""

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from .overlaps import overlap_areas

FONT = FontProperties(size=12.5, weight="bold")
PAD = 0.16  # around the letters, in font sizes
LINE = 1.2  # height of a line, in font sizes


def draw_labels(axes, boxes, texts, colours):
    """White letters on each box's colour. The first have the first choice of a place.

    Args:
        axes (Axes): with the image, as high and wide as its limits.
        boxes (ndarray): (N, 4) XYXY.
        texts (sequence[str]): of length N.
        colours (sequence[str]): likewise.
    """
    axes.apply_aspect()
    left, right = axes.get_xlim()
    pixels_a_unit = np.ptp(axes.transData.transform([(left, 0), (right, 0)])[:, 0]) / (right - left)
    points_a_unit = pixels_a_unit * 72 / axes.figure.dpi
    sizes = [label_size(text) / points_a_unit for text in texts]
    places = place_labels(boxes, sizes, (right, axes.get_ylim()[0]))
    for (x0, y0, x1, y1), text, colour in zip(places, texts, colours, strict=True):
        axes.text(
            (x0 + x1) / 2,
            (y0 + y1) / 2,
            text,
            ha="center",
            va="center",
            color="white",
            fontproperties=FONT,
            bbox={"boxstyle": f"square,pad={PAD}", "facecolor": colour, "edgecolor": "none"},
        )


def label_size(text):
    """Width and height in points, with its padding: (2,)."""
    size = FONT.get_size_in_points()
    width = TextPath((0, 0), text, prop=FONT).get_extents().width
    return np.array([width, LINE * size]) + 2 * PAD * size


def place_labels(boxes, sizes, frame):
    """A place at its box for each label, one after the other.

    Above the box, below it or in it, at its left or its right, moved into the frame: the first of
    these that covers no label before it, or covers the least.

    Args:
        boxes (ndarray): (N, 4) XYXY.
        sizes (sequence): N widths and heights, in the boxes' units.
        frame (tuple): width and height of the image.

    Returns:
        ndarray: (N, 4) XYXY.
    """
    placed = np.zeros((0, 4))
    for (x0, y0, x1, y1), (width, height) in zip(boxes, sizes, strict=True):
        corners = [
            (left, top) for top in (y0 - height, y1, y0, y1 - height) for left in (x0, x1 - width)
        ]
        room = np.maximum(np.subtract(frame, (width, height)), 0)
        corners = np.clip(corners, 0, room)
        places = np.hstack([corners, corners + np.array([width, height])])
        covered = overlap_areas(places, placed).sum(axis=1)
        placed = np.vstack([placed, places[covered.argmin()]])
    return placed
