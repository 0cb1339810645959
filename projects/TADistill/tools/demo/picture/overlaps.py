"""What boxes have in common."""

import numpy as np


def overlap_areas(boxes1, boxes2):
    """Areas of the intersections of XYXY boxes (N, 4) and (M, 4): (N, M)."""
    top_left = np.maximum(boxes1[:, None, :2], boxes2[None, :, :2])
    bottom_right = np.minimum(boxes1[:, None, 2:], boxes2[None, :, 2:])
    return np.clip(bottom_right - top_left, 0, None).prod(axis=2)
