"""The image files: which one is meant, and its size."""

import os
from pathlib import Path

from PIL import Image

from .errors import ConversionError, first_few

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
EXIF_ORIENTATION = 0x0112
QUARTER_TURNS = (5, 6, 7, 8)  # the EXIF orientations that swap width and height


def find_image(image_dir: Path, name: str) -> str:
    """The file name of an image that is named with or without its ending.

    Raises:
        ConversionError: if there is none, or several.
    """
    if name.lower().endswith(IMAGE_ENDINGS):
        found = [name] if (image_dir / name).is_file() else []
    else:
        endings = [e for ending in IMAGE_ENDINGS for e in (ending, ending.upper())]
        found = [name + e for e in endings if (image_dir / (name + e)).is_file()]
    if not found:
        raise ConversionError(f"{image_dir / name}: there is no such image")
    if len(found) > 1:
        # One file where the disk does not tell upper from lower case.
        if all(os.path.samefile(image_dir / found[0], image_dir / f) for f in found):
            return found[0]
        raise ConversionError(f"{image_dir / name} is {first_few(found)}: name it with its ending")
    return found[0]


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, after EXIF rotation.

    Raises:
        ConversionError: if it cannot be opened.
    """
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(EXIF_ORIENTATION) in QUARTER_TURNS
            return (image.height, image.width) if turned else image.size
    except Exception as error:  # whatever Pillow raises at a broken file
        raise ConversionError(
            f"{path} cannot be opened: {type(error).__name__}: {error}"
        ) from error
