"""The annotations of a data set in COCO format, examined before a step is spent on them.

What Detectron2 or pycocotools would stop at in the middle, or would silently make something else
of, is an error. What they ignore or clip is counted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from detectron2.data import MetadataCatalog

from ..errors import ConfigError, first_few
from ..notices import Notice
from .annotation_table import AnnotationTable
from .coco_json import FORM, check_form, check_scorable, read_coco_json
from .image_files import missing_files, unusable_images
from .use import Use


def examine_annotations(key: str, name: str, use: Use) -> Notice | None:
    """Examines the JSON file of a registered data set, and that the images it names are there.

    Args:
        key: the config key that names the data set, for the message.
        name: the data set.
        use: what it is wanted for.

    Returns:
        One line of all that was counted. None if the data set was registered without a JSON file
        in COCO's format: nothing can then be known of it.

    Raises:
        ConfigError: naming the key, the data set, its JSON file and, all in one message, what is
            wrong: how many images or annotations, the first few of them, and what to do.
    """
    metadata = MetadataCatalog.get(name)
    json_file = metadata.get("json_file")
    in_coco_format = json_file and metadata.get("evaluator_type") == "coco"
    if not in_coco_format and not (json_file and use.scored):
        return None
    where = f"{key}: {name} ({json_file})"
    if use.scored and metadata.get("evaluator_type") == "lvis":
        raise ConfigError(
            f"{where} is an LVIS data set, which COCO's evaluation cannot score (it does not say "
            'what is not annotated): set DATASETS.TEST to "()", and give the exported student to '
            "Detectron2's LVISEvaluator"
        )
    content = read_coco_json(key, name, json_file)
    # Detectron2 writes detections down even where it cannot score them: COCO's test-dev, say.
    unscorable = use.scored and use.without_boxes and "annotations" not in content
    may_be_empty = unscorable if use.scored else use.without_boxes
    if in_coco_format:
        check_form(where, content, may_be_empty)
    if use.scored and not unscorable:
        check_scorable(where, content)
    if not in_coco_format:
        return None

    content = {"annotations": [], **content}
    table = AnnotationTable.of(content)
    images = content["images"]
    if not use.scored and not use.without_boxes:  # the others are never opened
        images = [images[n] for n in table.images_trained_on]
    problems = [
        *_wrong_categories(metadata.get("thing_classes"), content["categories"]),
        *_wrong_ids(content, json_file),
        *_wrong_annotations(table, use),
        *_wrong_images(metadata.get("image_root"), images),
    ]
    found = _counted(table, use)
    of_use = table.can_be_found if use.scored else table.can_be_trained_on
    if not problems and not of_use.any() and not may_be_empty:
        counts = "; ".join(found)
        problems = [f"no annotation in it can be trained on ({counts})"]
        if use.scored:
            problems = [f"no annotation in it can be found ({counts})"]
    if problems:
        raise ConfigError("\n  and ".join([f"{where}: {problems[0]}", *problems[1:]]))
    if unscorable:
        found = ["no annotations to score by: detections are written, and there is no AP"]
    wasted = table.lost | (table.numbered_zero if use.scored else table.degenerate)
    totals = ", ".join(f"{len(content[list_])} {list_}" for list_ in FORM)
    return Notice("; ".join([f"{where}: {totals}", *found]), warns=unscorable or bool(wasted.any()))


def _wrong_categories(registered: Sequence[str] | None, categories: Sequence[Mapping]) -> list[str]:
    if repeated := _repeated(category["id"] for category in categories):
        return [
            f"{len(repeated)} ids stand for more than one category ({first_few(repeated)}): give "
            "each an id of its own"
        ]
    try:
        names = [category["name"] for category in sorted(categories, key=lambda c: c["id"])]
    except TypeError:
        return ["some ids of categories are numbers and some are strings: choose one"]
    if registered is not None and list(registered) != names:
        return [
            f"its categories are, by their ids, {first_few(names)}, but it was registered with "
            f"the classes {first_few(registered)}: register it with those that it has"
        ]
    return []


def _wrong_ids(content: Mapping, json_file: str) -> list[str]:
    problems = []
    if repeated := _repeated(image["id"] for image in content["images"]):
        problems.append(
            f"{len(repeated)} ids stand for more than one image ({first_few(repeated)}), of which "
            "Detectron2 would keep one, with the boxes of all: give each an id of its own"
        )
    # The known faults of COCO 2014's minival are let through by Detectron2.
    repeated = _repeated(annotation["id"] for annotation in content["annotations"])
    if repeated and "minival" not in json_file:
        problems.append(
            f"{len(repeated)} ids stand for more than one annotation ({first_few(repeated)}), "
            "which Detectron2 refuses: number the annotations anew"
        )
    return problems


def _wrong_annotations(table: AnnotationTable, use: Use) -> list[str]:
    problems = []
    needs_outline = bool(use.outlines) & ~table.orphaned & (use.scored | ~table.crowd)
    if table.flat.any():
        problems.append(
            f"{table.listed(table.flat)} have a segmentation of numbers, where a list of polygons "
            "belongs: write [[x, y, …]], or take it out"
        )
    if (lacking := needs_outline & ~table.outlined).any():
        problems.append(
            f"{table.listed(lacking)} have no segmentation, which MODEL.MASK_ON asks for: set it "
            "to False, or outline them"
        )
    if use.outlines == "polygon" and not use.scored and (needs_outline & table.encoded).any():
        problems.append(
            f"{table.listed(needs_outline & table.encoded)} have a segmentation of run lengths "
            '(RLE), at which INPUT.MASK_FORMAT "polygon" stops: set it to "bitmask"'
        )
    if not table.known_category.all():
        unknown = ~table.known_category
        ids = sorted({str(table.category_ids[n]) for n in np.flatnonzero(unknown)})
        problems.append(
            f"{table.listed(unknown)} have a category_id that no category has "
            f"({first_few(ids)}): add the category, or take them out"
        )
    if not table.finite.all():
        problems.append(
            f"{table.listed(~table.finite)} have NaN or infinity in their bbox: mend them, or "
            "take them out"
        )
    if table.negative.any():
        problems.append(
            f"{table.listed(table.negative)} have a bbox of negative width or height, which would "
            "be trained on turned over: write [x, y, width, height], with the upper left corner"
        )
    return problems


def _wrong_images(root: str | None, images: Sequence[Mapping]) -> list[str]:
    if root is None:  # registered by a function of a project's own, whose records have the paths
        return []
    names = [image["file_name"] for image in images]
    if missing := missing_files(root, names):
        return [
            f"{len(missing)} of {len(names)} image files are not in {root} ({first_few(missing)}): "
            "put them there, or take the images out"
        ]
    if unusable := unusable_images(root, images):
        return [
            f"{len(unusable)} of the few images that were opened cannot be used "
            f"({first_few(unusable)}): mend the files, or width and height in the JSON file"
        ]
    return []


def _counted(table: AnnotationTable, use: Use) -> list[str]:
    """All that is no error, in words; what is not there is not mentioned."""
    scored = use.scored
    counted = []
    if table.num_images_without:
        fate = "" if scored or use.without_boxes else " (no use in training)"
        counted.append(f"{table.num_images_without} images without annotations{fate}")
    fate = "which no detector can find" if scored else "left out of training"
    clipped = "" if scored else ", clipped in training"
    for which, words in (
        (table.crowd, "of crowds" + ("" if scored else ", left out of training")),
        (table.orphaned, "of images that are not in the file, ignored"),
        (table.empty, f"of no width or height, {fate}"),
        (table.outside, f"wholly outside their image, {fate}"),
        (table.over_the_edge, f"partly outside their image{clipped}"),
    ):
        if which.any():
            counted.append(f"{table.listed(which)} {words}")
    if not scored and table.degenerate.any():
        counted.append(
            f"{table.listed(table.degenerate)} with a segmentation in which no polygon has three "
            "points, left out of training: take the segmentation out to train on the bbox"
        )
    if scored and table.numbered_zero.any():
        # It marks what found nothing with a 0.
        counted.append("an annotation with id 0, which pycocotools never counts as found")
    return counted


def _repeated(ids: Iterable) -> list:
    return [one for one, times in Counter(ids).items() if times > 1]
