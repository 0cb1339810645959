"""The image files that a data set names: all there, and a few of them opened."""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from detectron2.data.detection_utils import read_image
from PIL import Image

# A disk on the network answers slowly, but many questions at once.
_QUESTIONS_AT_ONCE = 16
_DEEP = ("I", "F")  # Pillow's modes of 16 and 32 bits


def missing_files(root: str, names: Sequence[str]) -> list[str]:
    """Those of ``names`` that are no file in ``root``, in their order.

    Each folder is listed once, which takes a disk on the network a fraction of what a look at
    each file would. Looked at are only the files that a listing does not settle: links, which
    may lead nowhere, and names that it has in another spelling or not at all.

    Args:
        root: a folder. An address ("s3://…") is left alone: nothing is missing then.
        names: paths as seen from ``root``.
    """
    if "://" in root:
        return []
    wanted = defaultdict(list)
    for name in names:
        folder, base = os.path.split(os.path.join(root, name))
        wanted[folder].append((base, name))
    unsettled = [
        name
        for folder, files in wanted.items()
        for listing in [_listing(folder)]
        for base, name in files
        if base not in listing
    ]
    with ThreadPoolExecutor(_QUESTIONS_AT_ONCE) as pool:
        there = pool.map(lambda name: os.path.isfile(os.path.join(root, name)), unsettled)
        missing = {name for name, is_there in zip(unsettled, there, strict=True) if not is_there}
    return [name for name in names if name in missing]


def unusable_images(root: str, images: Sequence[Mapping], most: int = 16) -> list[str]:
    """What keeps a few of the images, spread over the data set, from being trained on.

    A data set whose sizes were written down wrongly (swapped, or before the images were scaled)
    is wrong nearly everywhere. Opening all images would take as long as an epoch; Detectron2
    compares each size as it comes to it.

    Args:
        root: a folder. An address is left alone.
        images: with ``file_name``, ``width`` and ``height``, pixels after EXIF rotation.
        most: how many are opened.

    Returns:
        A few words on each that cannot be read or has another size.
    """
    if "://" in root:
        return []
    chosen = np.linspace(0, len(images) - 1, min(most, len(images))).round().astype(int)
    return [words for i in chosen if (words := _why_unusable(root, images[i]))]


def _why_unusable(root: str, image: Mapping) -> str | None:
    name = image["file_name"]
    path = os.path.join(root, name)
    try:
        with Image.open(path) as opened:
            clipped = opened.mode.startswith(_DEEP) and opened.getextrema()[1] > 255
        height, width = read_image(path, format="BGR").shape[:2]
    except Exception as e:  # whatever Pillow raises at a broken file
        return f"{name} cannot be read: {type(e).__name__}: {e}"
    if clipped:
        return f"{name} has values above 255, which Detectron2 clips: save it with 8 bits a channel"
    if (width, height) == (image["width"], image["height"]):
        return None
    return f"{name} is {width} x {height}, not {image['width']} x {image['height']}"


def _listing(folder: str) -> set[str]:
    """The plain files of a folder; none if it cannot be listed, which need not hinder opening."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
    except OSError:
        return set()
