"""Axis-aligned boxes (x1, y1, x2, y2): overlap, and the R-CNN coding."""

from math import exp, log


def iou(a, b):
    """Intersection over union; 0 if there is no intersection."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    intersection = width * height
    return intersection / (area(a) + area(b) - intersection)


def area(box):
    """Width times height."""
    return (box[2] - box[0]) * (box[3] - box[1])


def encode(box, proposal, weights, smallest=0.01):
    """(dx, dy, dw, dh) that lead from the proposal to the box, each times its weight; no side
    counts as shorter than ``smallest``.
    """
    x, y, *size = center_and_size(box)
    px, py, *proposal_size = center_and_size(proposal)
    (w, h), (pw, ph) = ([max(s, smallest) for s in sides] for sides in (size, proposal_size))
    deltas = (x - px) / pw, (y - py) / ph, log(w / pw), log(h / ph)
    return [d * weight for d, weight in zip(deltas, weights, strict=True)]


def decode(deltas, proposal, weights):
    """The box that the deltas lead to from the proposal."""
    dx, dy, dw, dh = (d / weight for d, weight in zip(deltas, weights, strict=True))
    px, py, pw, ph = center_and_size(proposal)
    x, y, w, h = px + dx * pw, py + dy * ph, pw * exp(dw), ph * exp(dh)
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


def center_and_size(box):
    """(x0, y0, w, h)."""
    x1, y1, x2, y2 = box
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
