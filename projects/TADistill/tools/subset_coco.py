"""The part of a COCO JSON that a list of file names asks for.

    python subset_coco.py DATA.json LIST.txt OUT.json

Images and annotations keep their ids and their order, categories and all else stay as they are:
a detector trained on the part fits the whole.
"""

import argparse
import sys
from collections.abc import Collection
from pathlib import Path

from voc.coco_file import read_json, refuse_existing, write_json
from voc.errors import ConversionError, first_few
from voc.lists import read_list


def subset(content: dict, names: Collection[str]) -> dict:
    """The images whose ``file_name`` is in ``names``, with their annotations.

    Raises:
        ConversionError: if a name is no image's.
    """
    wanted = set(names)
    images = [image for image in content["images"] if image["file_name"] in wanted]
    unknown = sorted(wanted - {image["file_name"] for image in images})
    if unknown:
        raise ConversionError(
            f"{len(unknown)} of {len(wanted)} names are no image's file_name: " + first_few(unknown)
        )
    ids = {image["id"] for image in images}
    annotations = [each for each in content["annotations"] if each["image_id"] in ids]
    return {**content, "images": images, "annotations": annotations}


def main(args: argparse.Namespace) -> None:
    """Writes the part, and says how large it is."""
    refuse_existing(args.output)
    content = read_json(args.data)
    try:
        part = subset(content, read_list(args.list))
    except KeyError as error:
        raise ConversionError(f"{args.data} is no COCO data set: no {error}") from error
    except ConversionError as error:
        raise ConversionError(f"{args.list} and {args.data}: {error}") from error
    write_json(part, args.output)
    images, annotations = len(part["images"]), len(part["annotations"])
    print(
        f"{args.output}: {images} of {len(content['images'])} images, "
        f"{annotations} of {len(content['annotations'])} boxes"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path, help="a COCO JSON")
    parser.add_argument("list", type=Path, help="file names of images, one a line")
    parser.add_argument("output", type=Path, help="the JSON to write")
    try:
        main(parser.parse_args())
    except ConversionError as error:
        sys.exit(f"error: {error}")
