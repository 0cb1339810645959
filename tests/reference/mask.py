"""M: how much each feature cell matters."""

from math import exp, isfinite

from .boxes import iou


def gaussian_mask(boxes, size, stride, sigma):
    """M[n][i][j] for boxes[n][g] = (x1, y1, x2, y2): the maximum over the boxes of an image."""
    height, width = size
    return [
        [
            [
                max(
                    [gaussian(box, *cell_center(i, j, stride), sigma) for box in image], default=0.0
                )
                for j in range(width)
            ]
            for i in range(height)
        ]
        for image in boxes
    ]


def box_mask(boxes, size, stride):
    """1 in the cells that lie in any box."""
    height, width = size
    return [
        [
            [
                float(any(contains(box, *cell_center(i, j, stride)) for box in image))
                for j in range(width)
            ]
            for i in range(height)
        ]
        for image in boxes
    ]


def contains(box, x, y):
    x1, y1, x2, y2 = box
    return is_proper(box) and x1 <= x <= x2 and y1 <= y <= y2


def is_proper(box):
    x1, y1, x2, y2 = box
    return all(map(isfinite, box)) and x1 < x2 and y1 < y2


def anchor_mask(boxes, anchors, psi):
    """1 in the cells with an anchor of which the IoU with a box is more than psi of the largest."""
    height, width = len(anchors), len(anchors[0])
    mask = [[[0.0] * width for _ in range(height)] for _ in boxes]
    for n, image in enumerate(boxes):
        for box in filter(is_proper, image):
            largest = max(iou(box, a) for row in anchors for cell in row for a in cell)
            for i in range(height):
                for j in range(width):
                    if any(iou(box, a) > psi * largest for a in anchors[i][j]):
                        mask[n][i][j] = 1.0
    return mask


def cell_center(i, j, stride):
    """Where the cell in row i and column j lies in the image."""
    x = j * stride + stride / 2
    y = i * stride + stride / 2
    return x, y


def gaussian(box, x, y, sigma):
    """exp( -(x - x0)^2 / (sigma^2 (w/2)^2) - (y - y0)^2 / (sigma^2 (h/2)^2) ), 0 outside.

    A box that is not finite has no inside.
    """
    if not all(map(isfinite, box)):
        return 0.0
    x1, y1, x2, y2 = box
    w, h = x2 - x1, y2 - y1
    if w <= 0 or h <= 0:
        return 0.0
    if x < x1 or x > x2 or y < y1 or y > y2:
        return 0.0
    x0, y0 = (x1 + x2) / 2, (y1 + y2) / 2
    return exp(
        -((x - x0) ** 2) / (sigma**2 * (w / 2) ** 2) - (y - y0) ** 2 / (sigma**2 * (h / 2) ** 2)
    )
