"""What digits are written on: paper, stains and lines."""

import math

import numpy as np

from .painting import blend, draw_curves, ramp, round_corners, smooth_noise
from .palettes import rgb


def paint_paper(rng, height, width, palette):
    """A gradient with a soft grain, sometimes ruled, squared, dotted or striped, as paper is."""
    start, end = (rgb(colour) for colour in palette.papers)
    image = start + ramp(rng, height, width)[..., None] * (end - start)
    for cells, strength in ((5, 0.018), (24, 0.010)):
        image += strength * smooth_noise(rng, height, width, cells)[..., None]

    accent = rgb(palette.accents[rng.integers(len(palette.accents))])
    kind = rng.choice(["plain", "ruled", "squared", "dotted", "striped"])
    step, phase = rng.uniform(9, 22), rng.uniform(0, 9)
    angle = rng.uniform(-0.35, 0.35)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u = (x * math.cos(angle) + y * math.sin(angle) + phase) % step - step / 2
    v = (y * math.cos(angle) - x * math.sin(angle) + phase) % step - step / 2
    line_u, line_v = (np.clip(1.2 - np.abs(t), 0, 1) for t in (u, v))
    pattern = {
        "plain": np.zeros_like(x),
        "ruled": line_v,
        "squared": np.maximum(line_u, line_v),
        "dotted": np.clip(step / 7 + 0.5 - np.hypot(u, v), 0, 1),
        "striped": np.clip(step / 4 + 0.5 - np.abs(u), 0, 1) * 0.5,
    }[kind]
    blend(image, pattern, accent, rng.uniform(0.3, 0.7))
    return image


def paint_blobs(rng, image, palette):
    """Stains, cut-outs and rings of the accent colours."""
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for _ in range(rng.integers(1, 6)):
        cx, cy = rng.uniform(0, width), rng.uniform(0, height)
        radius, aspect = rng.uniform(8, 42), rng.uniform(0.5, 1.0)
        cos, sin = np.cos(angle := rng.uniform(0, math.pi)), np.sin(angle)
        u, v = (x - cx) * cos + (y - cy) * sin, (y - cy) * cos - (x - cx) * sin
        wobble = rng.uniform(0, 0.25) * smooth_noise(rng, height, width, 6)
        distance = radius * (np.hypot(u, v / aspect) / radius + wobble - 1)  # < 0 inside
        softness = rng.choice([1.0, 1.0, 8.0])
        if rng.random() < 0.25:
            distance = np.abs(distance) - rng.uniform(1, 2.5)
        mask = np.clip(0.5 - distance / softness, 0, 1)
        colour = rgb(palette.accents[rng.integers(len(palette.accents))])
        blend(image, mask, colour, rng.uniform(0.35, 0.85))


def paint_lines(rng, image, palette):
    """A few long bent lines across the image, thin or broad."""
    height, width = image.shape[:2]
    for _ in range(rng.integers(0, 5)):
        points = rng.uniform(-0.1, 1.1, (rng.integers(2, 5), 2)) * (width, height)
        mask = draw_curves(height, width, [round_corners(points)], rng.uniform(0.8, 4.0))
        colour = rgb(palette.accents[rng.integers(len(palette.accents))])
        blend(image, mask, colour, rng.uniform(0.5, 0.95))
