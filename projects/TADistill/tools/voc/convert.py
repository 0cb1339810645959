"""The XMLs and images of a split made one COCO data set."""

import os
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

from .annotation import read_xml
from .errors import ConversionError
from .images import find_image, image_size
from .notices import Notices
from .objects import Labelled, labelled_objects
from .rules import Rules
from .scenes import scene_of

MOST_SHOWN = 10


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
        scenes: see :func:`~voc.scenes.read_scenes`; adds a ``scene`` to each image.

    Returns:
        The content of the JSON (boxes XYWH, absolute pixels, from 0), and what is to be said of it.

    Raises:
        ConversionError: naming the files that cannot be converted, all of them at once.
    """
    rules = rules or Rules()
    category_ids = {name: place for place, name in enumerate(classes, start=1)}
    notices, problems = Notices(), []
    images, annotations = [], []
    for image_id, name in enumerate(names, start=first_image_id):
        try:
            image, objects = _one_image(
                xml_dir, image_dir, name, category_ids, rules, scenes, notices
            )
        except ConversionError as error:
            problems.append(str(error))
            continue
        images.append({"id": image_id, **image})
        for each in objects:
            annotation_id = first_annotation_id + len(annotations)
            annotations.append(_annotation(annotation_id, image_id, each, rules.decimals))
    if problems:
        more = len(problems) - MOST_SHOWN
        raise ConversionError(
            f"{len(problems)} of {len(names)} images cannot be converted:\n  "
            + "\n  ".join(problems[:MOST_SHOWN])
            + (f"\n  and {more} more" if more > 0 else "")
        )
    content = {
        "info": dict(info or {}),
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": category_id, "name": name, "supercategory": "object"}
            for name, category_id in category_ids.items()
        ],
    }
    return content, notices


def _one_image(
    xml_dir: Path,
    image_dir: Path,
    name: str,
    category_ids: Mapping[str, int],
    rules: Rules,
    scenes: Mapping[tuple[str, str], int] | None,
    notices: Notices,
) -> tuple[dict, list[Labelled]]:
    """An image's entry, without its id, and its objects."""
    file_name = find_image(image_dir, name)
    stem = os.path.splitext(file_name)[0]
    path = xml_dir / f"{stem}.xml"
    root = read_xml(path)
    width, height = image_size(image_dir / file_name)
    _compare_size(root, width, height, path, notices)
    image = {"file_name": file_name, "width": width, "height": height}
    if scenes is not None:
        image["scene"] = scene_of(stem, scenes)
    objects = list(labelled_objects(root, path, (width, height), category_ids, rules, notices))
    if not objects:
        notices.add("images without a box, kept as they are", file_name)
    return image, objects


def _annotation(annotation_id: int, image_id: int, each: Labelled, decimals: int) -> dict:
    _, _, width, height = each.box
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": each.category_id,
        "bbox": list(each.box),
        "area": round(width * height, decimals),
        "iscrowd": each.is_crowd,
    }


def _compare_size(root: ET.Element, width: int, height: int, path: Path, notices: Notices) -> None:
    written = tuple((root.findtext(f"size/{side}") or "").strip() for side in ("width", "height"))
    if written == ("", ""):
        notices.add("XMLs without a size, the image's taken", path.name)
    elif written != (str(width), str(height)):
        notices.add("XMLs with another size than their image, the image's taken", path.name)
