"""Which digits an image has, and where."""

import numpy as np

from .strokes import load_strokes, render_digit

HEIGHTS = (16, 70)  # of an upright digit, pixels
COUNT_WEIGHTS = (0.10, 0.20, 0.25, 0.20, 0.15, 0.10)  # of 1, 2, ... 6 digits an image
MIN_VISIBLE = 0.6  # share of a digit's ink
MAX_IOU = 0.25  # between two digits' boxes
PLACEMENTS = 16  # tries before a digit is left out


def place_digits(rng, height, width, samples):
    """Choose digits and their places, the largest first, so that small ones end up on top.

    Returns:
        list[tuple]: (mask, box, class) a digit: mask (height, width), box (4,) XYXY in pixels.
    """
    strokes, classes = load_strokes()
    count = rng.choice(len(COUNT_WEIGHTS), p=COUNT_WEIGHTS) + 1
    chosen = rng.integers(samples.start, samples.stop, count)
    heights = np.sort(np.exp(rng.uniform(*np.log(HEIGHTS), count)))[::-1]

    placed, boxes = [], np.zeros((0, 4))
    for sample, digit_height in zip(chosen, heights, strict=True):
        glyph = render_digit(
            strokes[sample],
            digit_height,
            angle=rng.normal(0, 0.17),
            slant=rng.uniform(-0.15, 0.3),
            aspect=rng.uniform(0.8, 1.15),
            weight=rng.uniform(0.42, 0.56),
        )
        h, w = glyph.shape
        # All tries are drawn at once: the stream after them does not depend on which one fits.
        for u, v in rng.random((PLACEMENTS, 2)):
            left, top = int(u * (width - w + 1)), int(v * (height - h + 1))
            mask = np.zeros((height, width), np.float32)
            mask[top : top + h, left : left + w] = glyph
            box = np.array([left + 1, top + 1, left + w - 1, top + h - 1])
            if (box_iou(box, boxes) > MAX_IOU).any() or hides_another(mask, placed):
                continue
            placed.append((mask, box, int(classes[sample])))
            boxes = np.vstack([boxes, box])
            break
    return placed


def hides_another(mask, placed):
    """Whether ``mask``, painted last, would leave too little to see of a digit in ``placed``."""
    cover = mask
    for other, _, _ in reversed(placed):
        if (other * (1 - cover)).sum() < MIN_VISIBLE * other.sum():
            return True
        cover = np.maximum(cover, other)
    return False


def box_iou(box, others):
    """IoU of one XYXY box with each of ``others`` (N, 4): (N,)."""
    overlap = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    intersection = np.clip(overlap, 0, None).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1)
    return intersection / ((box[2:] - box[:2]).prod() + areas - intersection)
