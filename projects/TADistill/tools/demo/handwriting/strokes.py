"""Digits as people wrote them, turned into strokes of any size."""

import math
from functools import lru_cache

import cv2
import numpy as np
from sklearn.datasets import load_digits

from .painting import SUPERSAMPLING

# Samples of one writer stand together: splits with a gap between them share no writer.
SAMPLES = {"train": slice(0, 1250), "val": slice(1400, 1797)}
SPLITS = tuple(SAMPLES)


@lru_cache(maxsize=1)
def load_strokes():
    """The bundle: images (1797, 8, 8) float32 in [0, 1] and classes (1797,)."""
    bundle = load_digits()
    return (bundle.images / 16).astype(np.float32), bundle.target


def render_digit(strokes, height, angle, slant, aspect, weight):
    """Turn 8x8 samples into a smooth pen stroke.

    The samples are resampled to a smooth field, turned and scaled, and cut at a soft threshold,
    which gives strokes with round ends and sharp edges at any size.

    Args:
        strokes (ndarray): (8, 8) in [0, 1].
        height (float): of the upright digit, pixels.
        angle (float): radians.
        slant (float): shear, as the tangent of the slant.
        aspect (float): width over height, relative to the sample's own.
        weight (float): in (0, 1); higher is bolder.

    Returns:
        ndarray: (h, w) opacity in [0, 1], one pixel wider on each side than the strokes' box.
    """
    fine, pad = 8, 2
    field = cv2.resize(np.pad(strokes, pad), None, fx=fine, fy=fine, interpolation=cv2.INTER_CUBIC)
    field = cv2.GaussianBlur(field, (0, 0), 0.2 * fine)

    side = math.ceil(1.9 * height) + 4
    cos, sin = math.cos(angle), math.sin(angle)
    transform = np.array([[cos, sin], [-sin, cos]]) @ np.array([[aspect, -slant], [0, 1]])
    transform *= height * SUPERSAMPLING / (8 * fine)
    from_centre, to_centre = (field.shape[0] - 1) / 2, (side * SUPERSAMPLING - 1) / 2
    shift = to_centre - transform @ np.full(2, from_centre)
    matrix = np.column_stack([transform, shift])
    field = cv2.warpAffine(field, matrix, (side * SUPERSAMPLING,) * 2, flags=cv2.INTER_LINEAR)

    mask = np.clip((field - (1 - weight)) / 0.12 + 0.5, 0, 1)
    mask = cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA)
    top, bottom, left, right = ink_extent(mask)
    return np.pad(mask, 1)[top : bottom + 2, left : right + 2]


def ink_extent(mask):
    """The rows ``top:bottom`` and columns ``left:right`` that hold the ink of ``mask``."""
    rows, columns = (np.flatnonzero((mask > 0.35).any(axis=axis)) for axis in (1, 0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
