"""What all painting is made of: noise, ramps, curves, and colour through a mask."""

import math

import cv2
import numpy as np

SUPERSAMPLING = 3


def blend(image, mask, colour, opacity=1.0):
    """Paint ``colour`` (3,) into ``image`` (H, W, 3), in place, as opaque as ``mask`` (H, W)."""
    image += (mask * opacity)[..., None] * (colour - image)


def smooth_noise(rng, height, width, cells):
    """Smooth noise of shape (height, width), unit variance at its ``cells`` x ``cells`` knots."""
    knots = rng.standard_normal((cells, cells)).astype(np.float32)
    return cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC)


def ramp(rng, height, width):
    """A linear ramp in a random direction, of shape (height, width), in [0, 1]."""
    angle = rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    values = x * math.cos(angle) + y * math.sin(angle)
    return (values - values.min()) / (values.max() - values.min())


def draw_curves(height, width, curves, thickness):
    """Anti-aliased polylines as a mask of shape (height, width); points are (x, y) pixels."""
    scale = SUPERSAMPLING
    canvas = np.zeros((height * scale, width * scale), np.uint8)
    for points in curves:
        points = np.round(np.asarray(points) * scale).astype(np.int32)
        cv2.polylines(canvas, [points], False, 255, max(1, round(thickness * scale)))
    canvas = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return canvas.astype(np.float32) / 255


def round_corners(points, rounds=3):
    """Chaikin's corner cutting of an open polyline (P, 2), its two ends kept."""
    points = np.asarray(points, np.float32)
    for _ in range(rounds):
        near, far = points[:-1], points[1:]
        cut = np.stack([0.8 * near + 0.2 * far, 0.2 * near + 0.8 * far], axis=1).reshape(-1, 2)
        points = np.concatenate([points[:1], cut, points[-1:]])
    return points
