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
import json
import math
import os
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from PIL import Image

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
EXIF_ORIENTATION = 0x0112
QUARTER_TURNS = (5, 6, 7, 8)  # the EXIF orientations that swap width and height
MOST_SHOWN = 10


class ConversionError(ValueError):
    """What is the user's to mend: the message names the file and what was found in it."""


@dataclass(frozen=True)
class Rules:
    """What becomes of boxes that have no plain counterpart in COCO.

    Attributes:
        decimals: of the pixel that x, y, width, height, and the area, are rounded to.
        one_based: pixels are counted from 1 and ``xmax``, ``ymax`` are inside the box.
        no_area: a box whose ``xmax <= xmin`` or ``ymax <= ymin``: ``error`` or ``drop``.
        outside: a box that leaves its image: ``error`` or ``clip``.
        difficult: a ``difficult`` object: ``keep`` as any other, ``crowd`` (``iscrowd`` 1: neither
            trained on nor counted in the AP), or ``drop``.
        other_classes: an object whose class is not in the list: ``error`` or ``drop``.
    """

    decimals: int = 2
    one_based: bool = False
    no_area: str = "error"
    outside: str = "error"
    difficult: str = "keep"
    other_classes: str = "error"


CHOICES = {
    "no_area": ("error", "drop"),
    "outside": ("error", "clip"),
    "difficult": ("keep", "crowd", "drop"),
    "other_classes": ("error", "drop"),
}


@dataclass
class Notices:
    """What was done to the data on the way, each kind with the files it was done to."""

    files: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, file: str) -> None:
        """One more of a kind."""
        self.files.setdefault(kind, []).append(file)

    def lines(self) -> Iterator[str]:
        """One a kind."""
        for kind, files in self.files.items():
            yield f"{kind}: {len(files)} ({_first_few(dict.fromkeys(files))})"


def convert(
    xml_dir: Path,
    image_dir: Path,
    names: Sequence[str],
    classes: Sequence[str],
    rules: Rules | None = None,
    *,
    first_image_id: int = 1,
    first_annotation_id: int = 1,
    info: Mapping[str, str] | None = None,
    scenes: Mapping[tuple[str, str], int] | None = None,
) -> tuple[dict, Notices]:
    """The COCO data set of the images ``names``, in their order.

    Args:
        xml_dir: folder of ``NAME.xml``.
        image_dir: folder of the images.
        names: the images, as seen from ``image_dir``, with or without ending.
        classes: their names; the first gets category id 1.
        rules: default ``Rules()``.
        first_image_id, first_annotation_id: ids count from here, in the order of the images and,
            within each, of the objects in its XML.
        info: content of the JSON's ``info``.
        scenes: see :func:`read_scenes`; adds a ``scene`` to each image.

    Returns:
        The content of the JSON (boxes XYWH, absolute pixels, from 0), and what is to be said of it.

    Raises:
        ConversionError: naming the files that cannot be converted, all of them at once.
    """
    rules = rules or Rules()
    for what, allowed in CHOICES.items():
        if getattr(rules, what) not in allowed:
            raise ConversionError(f"{what} is {getattr(rules, what)!r}; choose one of {allowed}")
    category_ids = {name: place for place, name in enumerate(classes, start=1)}
    notices, problems = Notices(), []
    images, annotations = [], []
    for image_id, name in enumerate(names, start=first_image_id):
        try:
            file_name = find_image(image_dir, name)
            stem = os.path.splitext(file_name)[0]
            xml_file = xml_dir / f"{stem}.xml"
            root = read_xml(xml_file)
            width, height = image_size(image_dir / file_name)
            _compare_size(root, width, height, xml_file, notices)
            image = {"id": image_id, "file_name": file_name, "width": width, "height": height}
            if scenes is not None:
                image["scene"] = scene_of(stem, scenes)
            boxes = list(_boxes(root, xml_file, (width, height), category_ids, rules, notices))
        except ConversionError as error:
            problems.append(str(error))
            continue
        images.append(image)
        for category_id, (x, y, w, h), is_crowd in boxes:
            annotations.append(
                {
                    "id": first_annotation_id + len(annotations),
                    "image_id": image_id,
                    "category_id": category_id,
                    "bbox": [x, y, w, h],
                    "area": round(w * h, rules.decimals),
                    "iscrowd": is_crowd,
                }
            )
        if not boxes:
            notices.add("images without a box, kept as they are", file_name)
    if problems:
        more = len(problems) - MOST_SHOWN
        raise ConversionError(
            f"{len(problems)} of {len(names)} images cannot be converted:\n  "
            + "\n  ".join(problems[:MOST_SHOWN])
            + (f"\n  and {more} more" if more > 0 else "")
        )
    categories = [
        {"id": category_id, "name": name, "supercategory": "object"}
        for name, category_id in category_ids.items()
    ]
    content = {
        "info": dict(info or {}),
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }
    return content, notices


# ------------------------------------------------------------------------------------- one XML


def read_xml(path: Path) -> ET.Element:
    """The root of a VOC XML.

    A DOCTYPE is refused: no annotation needs one, and entities declared there can make a small file
    fill the memory.

    Raises:
        ConversionError: naming the file, if it is not there, no XML, or no ``<annotation>``.
    """
    tree = ET.TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.data
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(path.read_bytes(), True)
        root = tree.close()
    except FileNotFoundError:
        raise ConversionError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ConversionError(f"{path} cannot be read: {error}") from error
    # LookupError: of an encoding that the first line names and Python does not know.
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise ConversionError(f"{path} is not an XML that can be read: {error}") from error
    if root.tag != "annotation":
        raise ConversionError(f"{path} is no Pascal VOC annotation: its root is <{root.tag}>")
    return root


def _refuse_doctype(*_: object) -> None:
    raise ValueError("it has a DOCTYPE, which is refused; take it out")


def _boxes(
    root: ET.Element,
    path: Path,
    size: tuple[int, int],
    category_ids: Mapping[str, int],
    rules: Rules,
    notices: Notices,
) -> Iterator[tuple[int, tuple[float, float, float, float], int]]:
    """Of each object that is kept: category id, XYWH box, and whether it is a crowd (0 or 1)."""
    for place, entry in enumerate(root.findall("object"), start=1):
        name = (entry.findtext("name") or "").strip()
        if not name:
            raise ConversionError(f"{path}: object {place} has no <name>")
        where = f"{path}: object {place} ({name})"
        if name not in category_ids:
            if rules.other_classes == "error":
                raise ConversionError(f"{where} has a class that is not in the list of classes")
            notices.add("objects of other classes dropped", path.name)
            continue
        is_difficult = _flag(entry, "difficult", where)
        if is_difficult and rules.difficult == "drop":
            notices.add("difficult objects dropped", path.name)
            continue
        corners = _corners(entry, where)
        x0, y0, x1, y1 = corners
        if rules.one_based:
            x0, y0 = x0 - 1, y0 - 1
        has_area = x1 > x0 and y1 > y0
        if has_area and not (x0 >= 0 and y0 >= 0 and x1 <= size[0] and y1 <= size[1]):
            if rules.outside == "error":
                raise ConversionError(
                    f"{where} has a box that leaves its image of {size[0]} x {size[1]} pixels: "
                    f"{_text(corners)}"
                )
            notices.add("boxes clipped to their image", path.name)
            x0, x1 = (min(max(x, 0.0), float(size[0])) for x in (x0, x1))
            y0, y1 = (min(max(y, 0.0), float(size[1])) for y in (y0, y1))
        x, y, w, h = (round(value, rules.decimals) for value in (x0, y0, x1 - x0, y1 - y0))
        if w <= 0 or h <= 0:
            if rules.no_area == "error":
                raise ConversionError(f"{where} has a box without area: {_text(corners)}")
            notices.add("boxes without area dropped", path.name)
            continue
        is_crowd = int(is_difficult and rules.difficult == "crowd")
        if is_crowd:
            notices.add("difficult objects made crowds", path.name)
        yield category_ids[name], (x, y, w, h), is_crowd


def _corners(entry: ET.Element, where: str) -> list[float]:
    box = entry.find("bndbox")
    if box is None:
        raise ConversionError(f"{where} has no <bndbox>")
    return [_number(box, tag, where) for tag in CORNERS]


def _number(parent: ET.Element, tag: str, where: str) -> float:
    text = parent.findtext(tag)
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConversionError(f"{where} has <{tag}> {text!r}, which is no number")
    return value


def _flag(entry: ET.Element, tag: str, where: str) -> bool:
    text = (entry.findtext(tag) or "0").strip().lower()
    if text not in ("0", "1", "false", "true"):
        raise ConversionError(f"{where} has <{tag}> {text!r}, which is neither 0 nor 1")
    return text in ("1", "true")


def _compare_size(root: ET.Element, width: int, height: int, path: Path, notices: Notices) -> None:
    written = tuple((root.findtext(f"size/{side}") or "").strip() for side in ("width", "height"))
    if written == ("", ""):
        notices.add("XMLs without a size, the image's taken", path.name)
    elif written != (str(width), str(height)):
        notices.add("XMLs with another size than their image, the image's taken", path.name)


# ---------------------------------------------------------------------------------- the images


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
        raise ConversionError(f"{image_dir / name} is {_first_few(found)}: name it with its ending")
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


# ----------------------------------------------------------------------------- lists and files


def read_list(path: Path) -> list[str]:
    """The lines of a text file (UTF-8), without blank ones.

    Raises:
        ConversionError: if it cannot be read, is empty, or has a line twice.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConversionError(f"{path} cannot be read: {error}") from error
    entries = [line for line in lines if line]
    if not entries:
        raise ConversionError(f"{path} is empty: it needs one name a line")
    seen = set()
    twice = [entry for entry in entries if entry in seen or seen.add(entry)]
    if twice:
        raise ConversionError(f"{path} names {len(twice)} twice: {_first_few(twice)}")
    return entries


def read_scenes(path: Path) -> dict[tuple[str, str], int]:
    """Scenes of a video whose frames are named in order: lines of ``SCENE FIRST LAST``.

    Returns:
        From the names of first and last frame, without ending, to the scene's number.
    """
    scenes = {}
    for line in read_list(path):
        try:
            scene, first, last = line.split()
            scenes[first, last] = int(scene)
        except ValueError:
            raise ConversionError(f"{path}: {line!r} is not SCENE FIRST LAST") from None
    return scenes


def scene_of(stem: str, scenes: Mapping[tuple[str, str], int]) -> int:
    """The scene between whose first and last frame ``stem`` stands.

    Raises:
        ConversionError: if it is in none, or in several.
    """
    found = [scene for (first, last), scene in scenes.items() if first <= stem <= last]
    if len(found) != 1:
        raise ConversionError(f"{stem} is in {len(found)} scenes, not in one")
    return found[0]


def read_json(path: Path) -> dict:
    """A COCO data set.

    Raises:
        ConversionError: if it is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for section in ("images", "annotations", "categories"):
            if not all("id" in entry for entry in content[section]):
                raise ValueError(f"not all {section} have an id")
    except OSError as error:
        raise ConversionError(f"{path} cannot be read: {error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        kind = type(error).__name__
        raise ConversionError(f"{path} is no COCO data set: {kind}: {error}") from error
    return content


def write_json(content: dict, path: Path) -> None:
    """Writes a file that is either whole or not there.

    Raises:
        ConversionError: if it cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(content), encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ConversionError(f"{path} cannot be written: {error}") from error


def refuse_existing(path: Path) -> None:
    """Raises a ConversionError if something is there."""
    if path.exists():
        raise ConversionError(f"{path} exists already; remove it, or choose another name")


def next_ids(content: Mapping, classes: Sequence[str], path: Path) -> tuple[int, int]:
    """The first image id and annotation id that are free after those of another split.

    Raises:
        ConversionError: if the other split has other classes.
    """
    others = [category["name"] for category in content["categories"]]
    if others != list(classes):
        raise ConversionError(f"{path} has other classes, or the same in another order: {others}")
    image_id, annotation_id = (
        1 + max((entry["id"] for entry in content[section]), default=0)
        for section in ("images", "annotations")
    )
    return image_id, annotation_id


def _first_few(items: Iterable) -> str:
    items = list(items)
    return ", ".join(map(str, items[:4])) + (", ..." if len(items) > 4 else "")


def _text(corners: Sequence[float]) -> str:
    return ", ".join(f"{tag} {value:g}" for tag, value in zip(CORNERS, corners, strict=True))


# ---------------------------------------------------------------------------- the command line


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
