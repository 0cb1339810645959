"""Each defect of a COCO file alone: what is refused, and what is counted."""

import json
import math

import pycocotools.mask
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog, get_detection_dataset_dicts
from detectron2.data import transforms as T
from detectron2.data.datasets import register_coco_instances
from detectron2.data.detection_utils import (
    annotations_to_instances,
    filter_empty_instances,
    transform_instance_annotations,
)
from detectron2.structures import BoxMode

from tadistill.data import Use
from tadistill.data.annotations import examine_annotations
from tadistill.errors import ConfigError

pytestmark = pytest.mark.usefixtures("registered_datasets")

# The tiny data set has 64 to 96 pixels of width and height, so that these lie in every image.
INSIDE = [2, 3, 20, 30]


# Of an image of 64 x 96 pixels, which none of them covers.
RUN_LENGTHS = {"size": [64, 96], "counts": [64 * 96]}


def outline(content):
    for annotation in content["annotations"]:
        annotation["segmentation"] = [[1, 2, 3, 4, 5, 6]]


def masks_of(annotation, mask_format):
    """What Detectron2's loader makes of an outline."""
    outline = annotation["segmentation"]
    if isinstance(outline, dict):  # as its reader of COCO files hands it on
        outline = pycocotools.mask.frPyObjects(outline, *outline["size"])
    as_read = {**annotation, "segmentation": outline, "bbox_mode": BoxMode.XYWH_ABS}
    return annotations_to_instances([as_read], (64, 96), mask_format).gt_masks


@pytest.fixture
def content(coco_files):
    """The tiny data set, sound but for an image without annotations: its last."""
    return json.loads(coco_files.annotations.read_text())


@pytest.fixture
def examine(content, coco_files, tmp_path):
    """Examines ``content`` as the test has left it."""

    def examine(scored=False, outlines=None, without_boxes=False, **registered):
        path = tmp_path / "changed.json"
        path.write_text(json.dumps(content))
        if "mine" not in DatasetCatalog.list():
            register_coco_instances("mine", registered, str(path), str(coco_files.images))
        use = Use(scored, outlines, without_boxes)
        return examine_annotations("DATASETS.TRAIN", "mine", use)

    return examine


@pytest.fixture
def refusal(examine, tmp_path):
    """What the user is told of ``content``."""

    def refusal(*use, **registered):
        with pytest.raises(ConfigError) as error:
            examine(*use, **registered)
        text = str(error.value)
        assert text.startswith(f"DATASETS.TRAIN: mine ({tmp_path}/changed.json)")
        return text

    return refusal


def test_a_sound_data_set_is_one_line(examine, content, tmp_path):
    total = len(content["annotations"])
    notice = examine()
    assert notice.text == (
        f"DATASETS.TRAIN: mine ({tmp_path}/changed.json): 6 images, {total} annotations, "
        "3 categories; 1 images without annotations (no use in training)"
    )
    assert not notice.warns


def test_a_data_set_that_is_no_coco_file_is_not_examined():
    MetadataCatalog.get("voc_like").dirname = "VOC2007"
    assert examine_annotations("DATASETS.TRAIN", "voc_like", Use(scored=True)) is None
    MetadataCatalog.get("lvis_like").json_file = "/nowhere/lvis.json"
    MetadataCatalog.get("lvis_like").evaluator_type = "lvis"
    assert examine_annotations("DATASETS.TRAIN", "lvis_like", Use(scored=False)) is None


def test_lvis_is_not_scored():
    MetadataCatalog.get("lvis_like").json_file = "/nowhere/lvis.json"
    MetadataCatalog.get("lvis_like").evaluator_type = "lvis"
    with pytest.raises(ConfigError, match="is an LVIS data set, which COCO's evaluation cannot"):
        examine_annotations("DATASETS.TEST", "lvis_like", Use(scored=True))


def test_images_of_records_with_whole_paths_are_not_looked_for(content, tmp_path):
    """A project's own function need not say where its images lie."""
    path = tmp_path / "own.json"
    path.write_text(json.dumps(content))
    MetadataCatalog.get("own").set(json_file=str(path), evaluator_type="coco")
    assert "6 images" in examine_annotations("DATASETS.TRAIN", "own", Use(scored=False)).text


class TestIsRefused:
    @pytest.mark.parametrize("scored", [False, True])
    def test_a_missing_image_file(self, content, refusal, coco_files, scored):
        content["images"][0]["file_name"] = "gone.png"
        content["images"][4]["file_name"] = "folder/gone.png"
        looked_at = 6 if scored else 5  # one has no annotations
        assert (
            f"2 of {looked_at} image files are not in {coco_files.images} "
            "(gone.png, folder/gone.png): put them there"
        ) in refusal(scored)

    def test_an_image_of_another_size(self, content, refusal):
        image = content["images"][2]
        width, height = image["width"], image["height"]
        image["width"] += 1
        assert (
            "1 of the few images that were opened cannot be used "
            f"(3.png is {width} x {height}, not {width + 1} x {height}): mend"
        ) in refusal()

    def test_an_image_id_that_occurs_twice(self, content, refusal):
        content["images"][1]["id"] = content["images"][0]["id"]
        assert "1 ids stand for more than one image (1)" in refusal()

    def test_a_category_id_that_occurs_twice(self, content, refusal):
        content["categories"][2]["id"] = 1
        assert "1 ids stand for more than one category (1)" in refusal()

    def test_category_ids_of_two_kinds(self, content, refusal):
        content["categories"][2]["id"] = "3"
        assert "some ids of categories are numbers and some are strings" in refusal()

    @pytest.mark.parametrize("scored", [False, True])
    def test_an_annotation_id_that_occurs_twice(self, content, refusal, scored):
        for annotation in content["annotations"][:3]:
            annotation["id"] = 77
        assert "1 ids stand for more than one annotation (77), which Detectron2" in refusal(scored)

    def test_but_not_in_the_minival_of_coco(self, content, coco_files, tmp_path):
        content["annotations"][0]["id"] = content["annotations"][1]["id"]
        path = tmp_path / "instances_minival2014.json"
        path.write_text(json.dumps(content))
        register_coco_instances("mine", {}, str(path), str(coco_files.images))
        assert examine_annotations("DATASETS.TRAIN", "mine", Use(scored=False))

    @pytest.mark.parametrize(
        ("field", "value", "expected"),
        [
            ("area", None, "'area' that is a number"),
            ("iscrowd", None, "'iscrowd' that is 0 or 1"),
            ("iscrowd", "0", "'iscrowd' that is 0 or 1"),
            ("id", "a3", "'id' that is a number"),
        ],
    )
    def test_what_cannot_be_scored(self, content, refusal, field, value, expected):
        content["annotations"][1][field] = value
        total = len(content["annotations"])
        assert f"1 of {total} annotations have no {expected}" in refusal(scored=True)

    @pytest.mark.parametrize(
        ("field", "value"), [("iscrowd", 0.0), ("iscrowd", False), ("id", "3"), ("id", 3.0)]
    )
    def test_but_not_what_pycocotools_reads(self, content, examine, field, value):
        content["annotations"][2][field] = value
        assert examine(scored=True)

    def test_a_segmentation_that_is_no_list_of_polygons(self, content, refusal):
        content["annotations"][1]["segmentation"] = [1, 2, 3, 4, 5, 6]
        assert "1 annotations (id 2) have a segmentation of numbers, where a list" in refusal()

    @pytest.mark.parametrize("scored", [False, True])
    def test_a_box_without_an_outline_where_there_is_a_mask_head(self, content, refusal, scored):
        for annotation in content["annotations"][1:]:
            annotation["segmentation"] = [[1, 2, 3, 4, 5, 6]]
        text = refusal(scored, outlines="polygon")
        assert "1 annotations (id 1) have no segmentation, which MODEL.MASK_ON asks for" in text

    def test_but_not_what_no_mask_head_sees(self, content, examine, refusal):
        for annotation in content["annotations"][2:]:
            annotation["segmentation"] = [[1, 2, 3, 4, 5, 6]]
        content["annotations"][0]["iscrowd"] = 1
        content["annotations"][1]["image_id"] = 99
        assert examine(outlines="polygon")
        assert "1 annotations (id 1) have no segmentation" in refusal(True, outlines="polygon")

    def test_run_lengths_where_polygons_are_wanted(self, content, refusal):
        outline(content)
        content["annotations"][2]["segmentation"] = RUN_LENGTHS
        text = refusal(outlines="polygon")
        assert "1 annotations (id 3) have a segmentation of run lengths (RLE), at which" in text
        assert 'INPUT.MASK_FORMAT "polygon" stops: set it to "bitmask"' in text
        with pytest.raises(ValueError, match="mask_format=='polygon'"):
            masks_of(content["annotations"][2], "polygon")

    @pytest.mark.parametrize(
        ("scored", "outlines", "iscrowd"),
        [(False, "bitmask", 0), (True, "polygon", 0), (False, "polygon", 1), (False, None, 0)],
    )
    def test_but_not_where_they_serve(self, content, examine, scored, outlines, iscrowd):
        outline(content)
        content["annotations"][2].update(segmentation=RUN_LENGTHS, iscrowd=iscrowd)
        assert examine(scored, outlines)
        assert masks_of(content["annotations"][2], "bitmask")

    def test_nothing_that_could_be_found(self, content, refusal):
        for annotation in content["annotations"]:
            annotation["image_id"] = str(annotation["image_id"])
        for without_boxes in (False, True):
            text = refusal(scored=True, without_boxes=without_boxes)
            assert "no annotation in it can be found (" in text

    def test_segmentations_that_leave_nothing_to_train_on(self, content, refusal):
        for annotation in content["annotations"]:
            annotation["segmentation"] = [annotation["bbox"]]
        text = refusal()
        assert "no annotation in it can be trained on (" in text
        assert "with a segmentation in which no polygon has three points" in text

    @pytest.mark.parametrize("unknown", [0, 4, "1"])
    def test_a_category_that_is_not_there(self, content, refusal, unknown):
        content["annotations"][2]["category_id"] = unknown
        assert (
            f"1 annotations (id 3) have a category_id that no category has ({unknown}): add"
        ) in refusal()

    @pytest.mark.parametrize("unusable", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("place", range(4))
    def test_a_box_that_is_not_finite(self, content, refusal, unusable, place):
        content["annotations"][1]["bbox"][place] = unusable
        assert "1 annotations (id 2) have NaN or infinity in their bbox: mend" in refusal()

    @pytest.mark.parametrize("place", [2, 3])
    def test_a_box_of_negative_size(self, content, refusal, place):
        content["annotations"][1]["bbox"][place] = -0.5
        text = refusal()
        assert "1 annotations (id 2) have a bbox of negative width or height" in text
        assert "write [x, y, width, height]" in text

    def test_other_categories_than_it_was_registered_with(self, refusal):
        text = refusal(thing_classes=["green", "blue", "red"])
        assert "its categories are, by their ids, blue, green, red, but it was" in text
        assert "the classes green, blue, red" in text

    def test_nothing_that_can_be_trained_on(self, content, refusal):
        for annotation in content["annotations"]:
            annotation["image_id"] = str(annotation["image_id"])
        total = len(content["annotations"])
        text = refusal()
        assert "no annotation in it can be trained on (6 images without annotations" in text
        assert f"{total} annotations (id 1, 2, 3, 4, …) of images that are not in the file" in text

    def test_all_that_is_wrong_at_once(self, content, refusal):
        content["annotations"][0]["bbox"][0] = math.nan
        content["annotations"][1]["bbox"][2] = -1
        content["annotations"][2]["category_id"] = 9
        content["annotations"][3]["id"] = 1
        content["images"][0]["file_name"] = "gone.png"
        text = refusal()
        assert text.count("\n  and ") == 4
        for part in ("NaN", "negative", "category_id", "more than one annotation", "gone.png"):
            assert part in text


class TestIsCounted:
    @pytest.fixture(autouse=True)
    def _one_box_each(self, content):
        for annotation in content["annotations"]:
            annotation["bbox"] = list(INSIDE)

    @pytest.fixture
    def sizes(self, content):
        return {image["id"]: (image["width"], image["height"]) for image in content["images"]}

    def test_categories_that_it_was_registered_with(self, examine):
        assert not examine(thing_classes=["blue", "green", "red"]).warns

    def test_annotations_of_images_that_are_not_there(self, content, examine):
        content["annotations"][3]["image_id"] = 999
        notice = examine()
        assert "; 1 annotations (id 4) of images that are not in the file, ignored" in notice.text
        assert notice.warns

    @pytest.mark.parametrize("segmentation", [[[]], [[1, 2, 3, 4]], [[1, 2, 3, 4, 5, 6, 7]]])
    def test_boxes_that_their_segmentation_takes_out_of_training(
        self, content, examine, segmentation
    ):
        """Detectron2 leaves them out, with or without a mask head."""
        content["annotations"][2]["segmentation"] = segmentation
        notice = examine()
        assert "1 annotations (id 3) with a segmentation in which no polygon has" in notice.text
        assert notice.warns
        kept = [box for image in DatasetCatalog.get("mine") for box in image["annotations"]]
        assert len(kept) == len(content["annotations"]) - 1

    @pytest.mark.parametrize(
        "segmentation", [[], None, [[1, 2, 3, 4, 5, 6]], {"counts": "", "size": [1, 1]}]
    )
    def test_but_not_others(self, content, examine, segmentation):
        content["annotations"][2]["segmentation"] = segmentation
        assert "segmentation" not in examine().text

    @pytest.mark.parametrize("place", [2, 3])
    def test_boxes_without_an_area(self, content, examine, place):
        content["annotations"][0]["bbox"][place] = 0
        notice = examine()
        assert "; 1 annotations (id 1) of no width or height, left out of training" in notice.text
        assert notice.warns

    @pytest.mark.parametrize("side", ["left", "right", "above", "below"])
    def test_boxes_wholly_outside(self, content, examine, sizes, side):
        annotation = content["annotations"][0]
        width, height = sizes[annotation["image_id"]]
        annotation["bbox"] = {
            "left": [-30, 5, 30, 10],
            "right": [width, 5, 30, 10],
            "above": [5, -40, 10, 30],
            "below": [5, height + 9, 10, 30],
        }[side]
        notice = examine()
        assert "; 1 annotations (id 1) wholly outside their image, left out" in notice.text
        assert "partly" not in notice.text
        assert notice.warns

    @pytest.mark.parametrize("side", ["left", "right", "above", "below"])
    def test_boxes_partly_outside(self, content, examine, sizes, side):
        annotation = content["annotations"][0]
        width, height = sizes[annotation["image_id"]]
        annotation["bbox"] = {
            "left": [-1, 5, 30, 10],
            "right": [width - 10, 5, 11, 10],
            "above": [5, -0.2, 10, 30],
            "below": [5, height - 10, 10, 12],
        }[side]
        notice = examine()
        assert "; 1 annotations (id 1) partly outside their image, clipped" in notice.text
        assert "wholly" not in notice.text
        assert not notice.warns

    def test_but_not_what_was_rounded(self, content, examine, sizes):
        width, height = sizes[content["annotations"][0]["image_id"]]
        content["annotations"][0]["bbox"] = [-0.01, 0.0, width + 0.04, height + 0.03]
        assert "outside" not in examine().text

    def test_crowds(self, content, examine):
        content["annotations"][2]["iscrowd"] = 1
        notice = examine()
        assert "; 1 annotations (id 3) of crowds, left out of training" in notice.text
        assert not notice.warns

    def test_an_image_of_crowds_alone_as_one_without_annotations(self, content, examine):
        for annotation in content["annotations"]:
            if annotation["image_id"] == 1:
                annotation["iscrowd"] = 1
        assert "; 2 images without annotations (no use in training)" in examine().text

    def test_what_a_detector_cannot_find_in_an_evaluation(self, content, examine):
        content["annotations"][0]["bbox"][2] = 0
        content["annotations"][1]["bbox"][0] = 1000
        content["annotations"][2]["bbox"][0] = -5
        notice = examine(scored=True)
        assert "(id 1) of no width or height, which no detector can find" in notice.text
        assert "(id 2) wholly outside their image, which no detector can find" in notice.text
        assert "(id 3) partly outside their image" in notice.text
        assert "training" not in notice.text
        assert notice.warns

    def test_an_annotation_that_pycocotools_takes_for_not_found(self, content, examine):
        content["annotations"][0]["id"] = 0
        notice = examine(scored=True)
        assert "; an annotation with id 0, which pycocotools never counts as found" in notice.text
        assert notice.warns

    def test_which_training_does_not_mind(self, content, examine):
        content["annotations"][0]["id"] = 0
        assert not examine(scored=False).warns


def images_that_detectron2_loads(**how):
    return len(get_detection_dataset_dicts(["mine"], **how))


class TestImagesWithoutBoxes:
    """The tiny data set has no annotation of its last image."""

    @pytest.mark.parametrize("change", ["file_name", "width"])
    def test_are_not_opened_in_training(self, content, examine, refusal, change):
        content["images"][5][change] = {"file_name": "gone.png", "width": 9999}[change]
        assert not examine().warns
        assert images_that_detectron2_loads(filter_empty=True) == 5
        for where in ({"scored": True}, {"without_boxes": True}):
            text = refusal(**where)
            assert "1 of 6 image files" in text or "9999" in text

    def test_nor_those_of_crowds_and_degenerate_polygons_alone(self, content, examine):
        of_first = [a for a in content["annotations"] if a["image_id"] == 1]
        of_first[0]["iscrowd"] = 1
        for annotation in of_first[1:]:
            annotation["segmentation"] = [[1, 2, 3, 4]]
        content["images"][0]["file_name"] = "gone.png"
        assert examine()
        assert images_that_detectron2_loads(filter_empty=True) == 4

    @pytest.mark.parametrize("annotations", [[], None])
    def test_are_a_training_set_where_detectron2_keeps_them(
        self, content, examine, refusal, annotations
    ):
        content["annotations"] = annotations
        if annotations is None:
            del content["annotations"]
        assert "has no annotations" in refusal()
        notice = examine(without_boxes=True)
        assert notice.text.endswith(
            ": 6 images, 0 annotations, 3 categories; 6 images without annotations"
        )
        assert not notice.warns
        assert images_that_detectron2_loads(filter_empty=False) == 6

    def test_are_counted_without_a_word_of_their_use_there(self, examine):
        assert examine(without_boxes=True).text.endswith("; 1 images without annotations")

    def test_nothing_to_train_on_is_no_error_there(self, content, examine):
        for annotation in content["annotations"]:
            annotation["bbox"][2] = 0
        notice = examine(without_boxes=True)
        assert "of no width or height, left out of training" in notice.text
        assert notice.warns

    def test_can_be_tested_on_where_nothing_needs_a_score(self, content, examine, refusal):
        del content["annotations"]
        assert "has no annotations" in refusal(scored=True)
        notice = examine(scored=True, without_boxes=True)
        assert notice.text.endswith(
            "0 annotations, 3 categories; no annotations to score by: detections are written, "
            "and there is no AP"
        )
        assert notice.warns

    def test_but_not_if_the_list_is_there_and_empty(self, content, refusal):
        content["annotations"] = []  # which Detectron2 would score
        assert "has no annotations" in refusal(scored=True, without_boxes=True)


@pytest.mark.parametrize(
    ("bbox", "boxes"),
    [
        pytest.param([5, 5, 10, 10], [[10, 10, 30, 30]], id="inside"),
        pytest.param([-5, 5, 10, 10], [[0, 10, 10, 30]], id="over the edge: clipped"),
        pytest.param([5, 5, 0, 10], [], id="no width: left out"),
        pytest.param([100, 5, 10, 10], [], id="outside: left out"),
        pytest.param([-50, 5, 10, 10], [], id="outside: left out"),
        pytest.param([30, 5, -10, 10], [[40, 10, 60, 30]], id="negative: turned over"),
    ],
)
def test_detectron2_makes_of_boxes_what_we_say_that_it_does(bbox, boxes):
    annotation = {"bbox": bbox, "bbox_mode": BoxMode.XYWH_ABS, "category_id": 0}
    resize = T.TransformList([T.ResizeTransform(100, 100, 200, 200)])
    annotation = transform_instance_annotations(annotation, resize, (200, 200))
    instances = filter_empty_instances(annotations_to_instances([annotation], (200, 200)))
    assert instances.gt_boxes.tensor.tolist() == boxes


class TestTheForm:
    @pytest.mark.parametrize("section", ["images", "annotations", "categories"])
    @pytest.mark.parametrize("found", [None, [], {"1": {}}])
    def test_a_section_that_is_not_there(self, content, refusal, section, found):
        content[section] = found
        assert f" has no {section}: it needs a list of them, '{section}'" in refusal()

    @pytest.mark.parametrize(
        ("section", "field", "wrong"),
        [
            *[("images", "id", None), ("images", "file_name", 7), ("images", "file_name", "")],
            *[("images", "width", "640"), ("images", "height", 0), ("images", "height", math.nan)],
            *[("annotations", "id", None), ("annotations", "image_id", [1])],
            *[("annotations", "category_id", {}), ("categories", "name", None)],
        ],
    )
    def test_a_key_that_is_missing_or_of_another_kind(
        self, content, refusal, section, field, wrong
    ):
        content[section][1][field] = wrong
        text = refusal()
        assert f": 1 of {len(content[section])} {section} have no {field!r} that is a " in text
        assert "(counted from 0: 1)" in text

    @pytest.mark.parametrize(
        ("section", "field"),
        [("images", "height"), ("annotations", "bbox"), ("categories", "id")],
    )
    def test_a_key_that_is_nowhere(self, content, refusal, section, field):
        for entry in content[section]:
            del entry[field]
        total = len(content[section])
        assert f": {total} of {total} {section} have no {field!r}" in refusal()

    @pytest.mark.parametrize(
        "bbox", [None, [], [1, 2, 3], [1, 2, 3, 4, 5], ["1", 2, 3, 4], [1, 2, 3, None], "1234"]
    )
    def test_a_bbox_that_is_not_four_numbers(self, content, refusal, bbox):
        content["annotations"][0]["bbox"] = bbox
        text = refusal()
        assert "annotations have no 'bbox' that is four numbers, [x, y, width, height]" in text
        assert "(counted from 0: 0)" in text

    def test_an_entry_that_is_no_object(self, content, refusal):
        content["images"][5] = "6.png"
        assert "1 of 6 images have no 'id'" in refusal()

    @pytest.mark.parametrize("text", ["[]", "3", '"images"'])
    def test_a_file_that_holds_something_else(self, coco_files, tmp_path, text):
        path = tmp_path / "list.json"
        path.write_text(text)
        register_coco_instances("mine", {}, str(path), str(coco_files.images))
        with pytest.raises(ConfigError, match=f"mine cannot be read from {path}: TypeError: it"):
            examine_annotations("DATASETS.TRAIN", "mine", Use(scored=False))
