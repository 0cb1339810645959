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
import tempfile
from pathlib import Path

import cv2
from handwriting.image import make_image
from handwriting.strokes import SPLITS
from tqdm import tqdm

CLASS_NAMES = tuple("0123456789")

# Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
LICENSE_URL = "https://creativecommons.org/licenses/by/4.0/"

FORMAT = 1  # raise it whenever the same parameters would give other images
JPEG_QUALITY = 92


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
