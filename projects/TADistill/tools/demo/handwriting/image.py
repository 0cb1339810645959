"""One whole image."""

import cv2
import numpy as np

from .background import paint_blobs, paint_lines, paint_paper
from .ink import paint_ink
from .painting import ramp
from .palettes import PALETTES
from .placing import place_digits
from .scribbles import paint_scribbles
from .strokes import SAMPLES, SPLITS

SIDES = (128, 160)  # pixels, both inclusive


def make_image(seed, split, index):
    """Image ``index`` of a split.

    Returns:
        tuple: image (H, W, 3) uint8 RGB; boxes (G, 4) XYXY, absolute pixels; classes (G,).
    """
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    height, width = (int(side) for side in rng.integers(SIDES[0], SIDES[1] + 1, 2))
    palette = PALETTES[rng.integers(len(PALETTES))]

    image = paint_paper(rng, height, width, palette)
    paint_blobs(rng, image, palette)
    paint_lines(rng, image, palette)
    paint_scribbles(rng, image, palette)
    digits = place_digits(rng, height, width, SAMPLES[split])
    for mask, _, _ in digits:
        paint_ink(rng, image, mask, palette)
    image = light_and_lens(rng, image)

    image = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    boxes = np.array([box for _, box, _ in digits], dtype=np.int64)
    return image, boxes, np.array([label for _, _, label in digits], dtype=np.int64)


def light_and_lens(rng, image):
    """Uneven light, a warm or cool cast, a little blur and sensor noise."""
    height, width = image.shape[:2]
    falloff = rng.uniform(0.0, 0.3) * ramp(rng, height, width)
    image = image * (rng.uniform(0.95, 1.12) - falloff)[..., None]
    image = image * (1 + rng.uniform(-0.03, 0.03) * np.float32([1, 0, -1]))
    sigma, grain = rng.uniform(0.2, 0.7), rng.uniform(0.002, 0.02)
    image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma)
    return image + grain * rng.standard_normal(image.shape).astype(np.float32)
