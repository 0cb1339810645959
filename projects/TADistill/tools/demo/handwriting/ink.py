"""Strokes of a pen."""

import cv2
import numpy as np

from .painting import blend, smooth_noise
from .palettes import rgb


def paint_ink(rng, image, mask, palette):
    """Ink with a pen's uneven pressure, set off from what it crosses by a rim of bare paper."""
    height, width = mask.shape
    rim = np.clip(2.5 * cv2.GaussianBlur(mask, (0, 0), 1.5), 0, 1)
    blend(image, rim, rgb(palette.papers[rng.integers(2)]), rng.uniform(0.3, 0.9))
    if rng.random() < 0.3:
        offset = np.float32([[1, 0, rng.uniform(0.5, 2.5)], [0, 1, rng.uniform(0.5, 2.5)]])
        shadow = cv2.GaussianBlur(cv2.warpAffine(mask, offset, (width, height)), (0, 0), 1.6)
        blend(image, shadow, image.min() * 0.6, 0.35)
    colour = rgb(palette.inks[rng.integers(len(palette.inks))])
    colour = np.clip(colour + rng.normal(0, 0.03, 3), 0, 1).astype(np.float32)
    pressure = np.clip(0.9 + 0.08 * smooth_noise(rng, height, width, 9), 0.7, 1)
    blend(image, mask * pressure, colour, rng.uniform(0.85, 1.0))
