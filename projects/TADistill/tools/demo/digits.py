"""The demo's data set: handwritten digits over clutter, written to disk in COCO format.

The pen strokes are real: scikit-learn's bundled digits (1,797 samples of 8x8, from 13 writers).
The bundle is ordered by writer, about 138 samples each, so a contiguous split keeps the writers
apart: train draws from the first 1,250 samples, val from the last 397, and the 150 in between,
more than one writer's share, are left out so that no writer is on both sides.

Every image has a random stream of its own, seeded by (seed, split, index): image ``i`` depends on
no other image and not on how many there are. The draws are the same on every platform. OpenCV's
versions round differently when they resample: between 4.11 and 5.0 half a percent of the pixel
values differ, and the boxes of one image in forty by one pixel.

Ground truth: one box a digit, tight around its strokes *before* other digits are painted over it
(at least 60 % of its ink stays visible). No masks, so ``area`` is the box's.

Usage:
    python digits.py ROOT [--num-train 2000] [--num-val 400] [--seed 0]
"""

import argparse
import json
import math
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from sklearn.datasets import load_digits
from tqdm import tqdm

CLASS_NAMES = tuple("0123456789")
SAMPLES = {"train": slice(0, 1250), "val": slice(1400, 1797)}
SPLITS = tuple(SAMPLES)

# Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
LICENSE_URL = "https://creativecommons.org/licenses/by/4.0/"

FORMAT = 1  # raise it whenever the same parameters would give other images
JPEG_QUALITY = 92
SIDES = (128, 160)  # pixels, both inclusive
HEIGHTS = (16, 70)  # of an upright digit, pixels
COUNT_WEIGHTS = (0.10, 0.20, 0.25, 0.20, 0.15, 0.10)  # of 1, 2, ... 6 digits an image
MIN_VISIBLE = 0.6  # share of a digit's ink
MAX_IOU = 0.25  # between two digits' boxes
PLACEMENTS = 16  # tries before a digit is left out
SUPERSAMPLING = 3


class Palette(NamedTuple):
    """Colours that go together, as hexadecimal sRGB."""

    papers: tuple  # the two ends of the background's gradient
    inks: tuple  # of digits and scribbles: far from the papers in lightness
    accents: tuple  # of the clutter: between the two


PALETTES = (
    Palette(("f4efe4", "e6dcc8"), ("1f3a5f", "7a2e2e", "2b2b2b"), ("d9b98a", "b9c4c9", "e0a899")),
    Palette(("eef2f3", "d5e0e6"), ("14345a", "0b5d6b", "44355b"), ("9fc3d4", "c9b8d9", "f2c9a1")),
    Palette(("e3ead9", "c8d6bb"), ("23402b", "6b3e26", "2f3e55"), ("9dbb8c", "d8c48f", "86a9a5")),
    Palette(("f6dfcf", "efc7b0"), ("6a1f2b", "2d2f4a", "4a2c17"), ("e79d7f", "c9a7a0", "f5ead6")),
    Palette(("d8b98e", "c4a173"), ("2f1d12", "16324a", "5b1a1a"), ("b2875a", "e3cfa8", "9c9a78")),
    Palette(("f3e3a8", "ecd07f"), ("27364d", "5a2a3c", "1f4b43"), ("e0b04d", "f7f0d2", "bcc39a")),
    Palette(("2f4a43", "243a36"), ("f1efe2", "f6d98f", "f0b7a4"), ("4f7268", "5d6f5a", "3b625f")),
    Palette(("22304f", "17213a"), ("eaf1fb", "ffd27d", "8fe0e0"), ("3f5788", "51456f", "2b6079")),
    Palette(("3b3340", "2a2530"), ("f5e9dc", "f4a582", "b8d4f0"), ("65536b", "7a5555", "4c5a70")),
    Palette(("2d5f86", "234c70"), ("f3f7f4", "ffe39a", "ffc7b0"), ("4a82ab", "3f7f8c", "5d73a8")),
    Palette(("7b3f35", "5f2d29"), ("fbeedd", "ffd694", "f2bfb0"), ("a0604c", "8a5a3c", "74494e")),
    Palette(("dcd6e6", "c3bad6"), ("33245a", "5a1f4a", "1d3d52"), ("a898c9", "e4b7c6", "a9c2d8")),
)

# Pen strokes that are no digit, as polylines in the unit square, y down.
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


# ------------------------------------------------------------------------------------ painting


def rgb(colour):
    """The hexadecimal ``colour`` as (3,) float32 RGB in [0, 1]."""
    return np.array([int(colour[i : i + 2], 16) for i in (0, 2, 4)], np.float32) / 255


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


# ---------------------------------------------------------------------------------- background


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


# -------------------------------------------------------------------------------------- digits


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


def box_iou(box, others):
    """IoU of one XYXY box with each of ``others`` (N, 4): (N,)."""
    overlap = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    intersection = np.clip(overlap, 0, None).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1)
    return intersection / ((box[2:] - box[:2]).prod() + areas - intersection)


def place_digits(rng, height, width, samples):
    """Choose digits and their places, the largest first, so that small ones end up on top.

    Returns:
        list[tuple]: (mask, box, class) a digit: mask (height, width), box (4,) XYXY in pixels.
    """
    strokes, classes = load_strokes()
    count = rng.choice(len(COUNT_WEIGHTS), p=COUNT_WEIGHTS) + 1
    chosen = rng.integers(samples.start, samples.stop, count)
    heights = np.sort(np.exp(rng.uniform(*np.log(HEIGHTS), count)))[::-1]

    placed, boxes = [], np.zeros((0, 4))
    for sample, digit_height in zip(chosen, heights, strict=True):
        glyph = render_digit(
            strokes[sample],
            digit_height,
            angle=rng.normal(0, 0.17),
            slant=rng.uniform(-0.15, 0.3),
            aspect=rng.uniform(0.8, 1.15),
            weight=rng.uniform(0.42, 0.56),
        )
        h, w = glyph.shape
        # All tries are drawn at once: the stream after them does not depend on which one fits.
        for u, v in rng.random((PLACEMENTS, 2)):
            left, top = int(u * (width - w + 1)), int(v * (height - h + 1))
            mask = np.zeros((height, width), np.float32)
            mask[top : top + h, left : left + w] = glyph
            box = np.array([left + 1, top + 1, left + w - 1, top + h - 1])
            if (box_iou(box, boxes) > MAX_IOU).any() or hides_another(mask, placed):
                continue
            placed.append((mask, box, int(classes[sample])))
            boxes = np.vstack([boxes, box])
            break
    return placed


def hides_another(mask, placed):
    """Whether ``mask``, painted last, would leave too little to see of a digit in ``placed``."""
    cover = mask
    for other, _, _ in reversed(placed):
        if (other * (1 - cover)).sum() < MIN_VISIBLE * other.sum():
            return True
        cover = np.maximum(cover, other)
    return False


# --------------------------------------------------------------------------------- whole image


def light_and_lens(rng, image):
    """Uneven light, a warm or cool cast, a little blur and sensor noise."""
    height, width = image.shape[:2]
    falloff = rng.uniform(0.0, 0.3) * ramp(rng, height, width)
    image = image * (rng.uniform(0.95, 1.12) - falloff)[..., None]
    image = image * (1 + rng.uniform(-0.03, 0.03) * np.float32([1, 0, -1]))
    sigma, grain = rng.uniform(0.2, 0.7), rng.uniform(0.002, 0.02)
    image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma)
    return image + grain * rng.standard_normal(image.shape).astype(np.float32)


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


# ----------------------------------------------------------------------------------- the files


def write_split(root, split, count, seed):
    """Write ``root/<split>/*.jpg`` and ``root/annotations/<split>.json``."""
    (root / split).mkdir()
    images, annotations = [], []
    for index in tqdm(range(count), desc=f"digits, {split}", unit="image", disable=None):
        image, boxes, classes = make_image(seed, split, index)
        height, width = image.shape[:2]
        name, image_id = image_name(index), index + 1
        path = root / split / name
        options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        if not cv2.imwrite(str(path), image[..., ::-1], options):
            raise OSError(f"OpenCV could not write {path}: is the disk full?")
        images.append({"id": image_id, "file_name": name, "height": height, "width": width})
        for (x0, y0, x1, y1), label in zip(boxes.tolist(), classes.tolist(), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": label + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                }
            )
    content = {
        "info": {"description": f"Handwritten digits over clutter, {split}", "version": FORMAT},
        "licenses": [{"id": 1, "name": "CC BY 4.0", "url": LICENSE_URL}],
        "images": [{**image, "license": 1} for image in images],
        "annotations": annotations,
        "categories": [
            {"id": label + 1, "name": name, "supercategory": "digit"}
            for label, name in enumerate(CLASS_NAMES)
        ],
    }
    (root / "annotations" / f"{split}.json").write_text(json.dumps(content))


def image_name(index):
    """The file name of image ``index``, counted from 0."""
    return f"{index + 1:06d}.jpg"


def is_complete(root, stamp):
    """Whether ``root`` holds the very data set of ``stamp``, with all of its files."""
    try:
        if json.loads((root / "dataset.json").read_text()) != stamp:
            return False
    except (OSError, ValueError):
        return False
    files = [root / "annotations" / f"{split}.json" for split in SPLITS]
    for split in SPLITS:
        files += [root / split / image_name(index) for index in range(stamp[f"num_{split}"])]
    return all(file.is_file() for file in files)


def write_digits(root, num_train=2000, num_val=400, seed=0):
    """Write the data set to ``root``, or do nothing when it is already there.

    The files are written to a sibling folder that is renamed at the end, so that an interrupted
    run leaves no half-made data set behind.

    Args:
        root (str or Path): gets ``train/``, ``val/``, ``annotations/{train,val}.json`` and
            ``dataset.json``, which says what was asked for.
        num_train (int): images, at least 1.
        num_val (int): images, at least 1.
        seed (int): not negative.

    Raises:
        ValueError: for a count below 1 or a negative seed.
        FileExistsError: when ``root`` holds anything else than this very data set.
    """
    for name, value, least in (
        ("num_train", num_train, 1),
        ("num_val", num_val, 1),
        ("seed", seed, 0),
    ):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    root = Path(root)
    stamp = {"format": FORMAT, "num_train": num_train, "num_val": num_val, "seed": seed}
    if is_complete(root, stamp):
        return
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        raise FileExistsError(
            f"{root} exists and is not the complete data set asked for ({stamp}); nothing was "
            "written. Remove it, or choose another folder."
        )

    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{root.name}-", dir=root.parent) as workspace:
        fresh = Path(workspace) / "dataset"
        (fresh / "annotations").mkdir(parents=True)
        write_split(fresh, "train", num_train, seed)
        write_split(fresh, "val", num_val, seed)
        (fresh / "dataset.json").write_text(json.dumps(stamp, indent=2) + "\n")
        if root.exists():
            root.rmdir()  # empty, as checked above; a rename onto a folder fails on Windows
        fresh.rename(root)


def main():
    """Write the data set that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="folder to write")
    parser.add_argument("--num-train", type=int, default=2000)
    parser.add_argument("--num-val", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        write_digits(args.root, args.num_train, args.num_val, args.seed)
    except (ValueError, FileExistsError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
