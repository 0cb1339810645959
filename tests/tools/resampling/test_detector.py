"""AP on drawn images, beside pycocotools on a data set that has them."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from resampling.detector import Detector, read_annotations

from tadistill.errors import ConfigError


def drawn_data_set(data, found, images):
    """What is drawn, written out: each draw is an image of its own."""
    ids = [data["images"][i]["id"] for i in images]
    drawn = {"images": [{**data["images"][i], "id": n} for n, i in enumerate(images)]}
    drawn["categories"] = data["categories"]
    boxes = [
        {**box, "image_id": n}
        for n, image in enumerate(ids)
        for box in data["annotations"]
        if box["image_id"] == image
    ]
    drawn["annotations"] = [{**box, "id": i} for i, box in enumerate(boxes, start=1)]
    found = [
        {**each, "image_id": n}
        for n, image in enumerate(ids)
        for each in found
        if each["image_id"] == image
    ]
    return drawn, found


def coco_ap(annotations, found):
    evaluation = COCOeval(annotations, annotations.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return 100 * evaluation.stats[0]


def test_images_as_they_are_have_cocos_ap(data, files):
    annotations = read_annotations(files[0])
    for path in files[1:]:
        aps = Detector(annotations, path).class_aps(np.arange(len(data["images"])))
        assert aps.shape == (3,)
        assert np.nanmean(aps) == pytest.approx(coco_ap(COCO(files[0]), str(path)), abs=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_a_draw_has_the_ap_of_a_data_set_of_these_images(data, files, write, seed):
    images = np.random.default_rng(seed).integers(len(data["images"]), size=len(data["images"]))
    drawn, found = drawn_data_set(data, json.loads(files[1].read_text()), images)
    expected = coco_ap(COCO(write("drawn.json", drawn)), found)
    detector = Detector(read_annotations(files[0]), files[1])
    assert np.nanmean(detector.class_aps(images)) == pytest.approx(expected, abs=1e-9)


def test_a_class_without_a_box_has_no_ap(data, files):
    detector = Detector(read_annotations(files[0]), files[1])
    empty = np.zeros(len(data["images"]), int)  # the first image has no boxes
    assert np.isnan(detector.class_aps(empty)).all()
    assert detector.classes == ["class 0", "class 1", "class 2"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "no list of detections, or an empty one"),
        ({"a": 1}, "no list of detections, or an empty one"),
        ([{"image_id": 999, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}], "image_id 999"),
        ([{"image_id": 10, "category_id": 9, "bbox": [0, 0, 1, 1], "score": 1}], "category_id 9"),
        ([{"image_id": 10, "category_id": 1, "score": 1}], "no 'bbox'"),
        ([{"image_id": 10, "category_id": 1, "bbox": [0, 0, 1, 1]}], "no 'score'"),
        ([{"image_id": 10, "category_id": 1, "bbox": [0, 0, 1], "score": 1}], "of four numbers"),
        *(
            ([{"image_id": 10, "category_id": 1, "bbox": [0, 0, 1, 1], "score": score}], "finite")
            for score in (None, float("nan"))
        ),
        ([{"image_id": 10, "category_id": 1, "bbox": [0, "a", 1, 1], "score": 1}], "'a'"),
    ],
)
def test_detections_of_something_else_are_refused_by_name(files, write, content, message):
    path = write("wrong.json", content)
    with pytest.raises(ConfigError, match=message) as error:
        Detector(read_annotations(files[0]), path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", [{}, [], {"images": [], "annotations": [], "categories": []}])
def test_annotations_of_nothing_are_refused_by_name(write, content):
    path = write("nothing.json", content)
    with pytest.raises(ConfigError, match=r"nothing\.json is no COCO data set"):
        read_annotations(path)


@pytest.mark.parametrize(
    ("field", "value"), [("iscrowd", None), ("area", None), ("id", "a3"), ("bbox", None)]
)
def test_annotations_without_what_cocos_ap_needs_are_refused(data, write, field, value):
    data["annotations"][0][field] = value
    if value is None:
        del data["annotations"][0][field]
    with pytest.raises(ConfigError, match=f"no COCO data set: .* {field!r}"):
        read_annotations(write("val.json", data))


def test_annotations_of_crowds_alone_are_refused(data, write):
    for annotation in data["annotations"]:
        annotation["iscrowd"] = 1
    with pytest.raises(ConfigError, match="no boxes but crowds'"):
        read_annotations(write("val.json", data))
