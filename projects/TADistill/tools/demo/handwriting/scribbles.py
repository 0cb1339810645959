"""Strokes that are no digit."""

import math

import numpy as np

from .ink import paint_ink
from .painting import draw_curves, round_corners

# Polylines in the unit square, y down.
SCRIBBLES = (
    (((0, 1), (0.5, 0), (1, 1)), ((0.22, 0.62), (0.78, 0.62))),  # A
    (((0.9, 0), (0.05, 0.02), (0.05, 1), (0.95, 1)), ((0.05, 0.5), (0.75, 0.5))),  # E
    (((0, 0), (0, 1)), ((1, 0), (1, 1)), ((0, 0.5), (1, 0.5))),  # H
    (((0, 0), (0, 1)), ((0.9, 0), (0, 0.55), (1, 1))),  # K
    (((0, 1), (0.1, 0), (0.5, 0.7), (0.9, 0), (1, 1)),),  # M
    (((0, 1), (0, 0), (1, 1), (1, 0)),),  # N
    (((0, 0), (0.25, 1), (0.5, 0.3), (0.75, 1), (1, 0)),),  # W
    (((0, 0), (1, 1)), ((1, 0), (0, 1))),  # X
    (((0, 0.6), (0.35, 1), (1, 0)),),  # a tick
    (((0, 0.6), (0.25, 0.3), (0.5, 0.6), (0.75, 0.9), (1, 0.6)),),  # a wave
    (((0.3, 0), (0.2, 1)), ((0.8, 0), (0.7, 1)), ((0, 0.3), (1, 0.3)), ((0, 0.7), (1, 0.7))),  # #
    (((0, 0.5), (1, 0.5)), ((0.65, 0.2), (1, 0.5), (0.65, 0.8))),  # an arrow
    (((0.5, 0.05), (1, 0.95), (0, 0.95), (0.5, 0.05)),),  # a triangle
)


def paint_scribbles(rng, image, palette):
    """Letters and signs in the digits' own ink: a detector must tell them from digits."""
    height, width = image.shape[:2]
    for _ in range(rng.integers(0, 4)):
        size = math.exp(rng.uniform(math.log(12), math.log(44)))
        cos, sin = np.cos(angle := rng.uniform(-0.4, 0.4)), np.sin(angle)
        turn = np.array([[cos, sin], [-sin, cos]]) * size
        centre = rng.uniform(0.05, 0.95, 2) * (width, height)
        curves = []
        for stroke in SCRIBBLES[rng.integers(len(SCRIBBLES))]:
            points = (np.array(stroke) - 0.5) * (0.75, 1) + rng.normal(0, 0.035, (len(stroke), 2))
            curves.append(round_corners(points @ turn + centre))
        mask = draw_curves(height, width, curves, size * rng.uniform(0.08, 0.15))
        paint_ink(rng, image, mask, palette)
