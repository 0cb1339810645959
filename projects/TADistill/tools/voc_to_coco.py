"""Pascal VOC XML to COCO JSON, one split at a time.

    python voc_to_coco.py XML_DIR IMAGE_DIR LIST.txt CLASSES.txt OUT.json
        [--ids-after TRAIN.json] [--description TEXT] [--source TEXT] [--scenes SCENES.txt]
        [--one-based] [--no-area drop] [--outside clip] [--difficult crowd] [--other-classes drop]
        [--decimals 2]

LIST.txt names the images of the split, CLASSES.txt the classes, one a line, in the order in which
they get their ids (from 1). An image is named with or without its ending; its XML has the same
name. Entries of the XML that no COCO file has (``truncated``, ``pose``, ``filename``, ...) are not
looked at.

Coordinates are taken as they are, x to the right and y down from 0, and the width is
``xmax - xmin``: what labelImg and CVAT write, and what most converters assume. The data sets of the
Pascal VOC challenge itself count pixels from 1, with the last pixel inside the box: for them
``--one-based`` takes 1 off ``xmin`` and ``ymin``, as Detectron2's VOC loader does.

An image has the size that its file has, after EXIF rotation as Detectron2 applies it, whatever the
XML says. What cannot be converted is an error that names the file, and nothing is written; what was
dropped, clipped or contradicted is said on stderr. Needs Pillow, and nothing else.
"""

import argparse
import sys
from pathlib import Path

from voc.coco_file import next_ids, read_json, refuse_existing, write_json
from voc.convert import convert
from voc.errors import ConversionError
from voc.lists import read_list
from voc.rules import CHOICES, Rules
from voc.scenes import read_scenes


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("xml_dir", type=Path, help="folder of XMLs")
    parser.add_argument("image_dir", type=Path, help="folder of images")
    parser.add_argument("list", type=Path, help="images of the split, one a line")
    parser.add_argument("classes", type=Path, help="names of the classes, one a line, in order")
    parser.add_argument("output", type=Path, help="the JSON to write")
    parser.add_argument(
        "--ids-after", type=Path, metavar="JSON", help="image and annotation ids go on after it"
    )
    parser.add_argument("--description", help="for the JSON's info")
    parser.add_argument("--source", help="for the JSON's info")
    parser.add_argument(
        "--scenes", type=Path, help="lines of SCENE FIRST LAST: each image gets its scene"
    )
    parser.add_argument(
        "--one-based", action="store_true", help="pixels count from 1, as in Pascal VOC's own data"
    )
    parser.add_argument("--decimals", type=int, default=2, help="of a pixel (default 2)")
    what = {
        "no_area": "a box without area",
        "outside": "a box that leaves its image",
        "difficult": "an object that is marked as difficult",
        "other_classes": "an object of a class that is not in the list",
    }
    for name, choices in CHOICES.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            choices=choices,
            default=choices[0],
            help=f"{what[name]} (default {choices[0]})",
        )
    return parser


def main(args: argparse.Namespace) -> None:
    """Converts one split, writes it, and says what is in it."""
    refuse_existing(args.output)
    names, classes = read_list(args.list), read_list(args.classes)
    ids = next_ids(read_json(args.ids_after), classes, args.ids_after) if args.ids_after else (1, 1)
    info = {"description": args.description, "source": args.source}
    content, notices = convert(
        args.xml_dir,
        args.image_dir,
        names,
        classes,
        Rules(args.decimals, args.one_based, *(getattr(args, name) for name in CHOICES)),
        first_image_id=ids[0],
        first_annotation_id=ids[1],
        info={key: text for key, text in info.items() if text is not None},
        scenes=read_scenes(args.scenes) if args.scenes else None,
    )
    write_json(content, args.output)
    for line in notices.lines():
        print(f"note: {line}", file=sys.stderr)
    images, annotations = len(content["images"]), len(content["annotations"])
    print(f"{args.output}: {images} images, {annotations} boxes, {len(classes)} classes")


if __name__ == "__main__":
    try:
        main(parser().parse_args())
    except ConversionError as error:
        sys.exit(f"error: {error}")
