"""M: how much each feature cell matters."""

from math import exp, isfinite


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
