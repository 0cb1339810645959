"""What is converted, and how."""

import json

import pytest
from detectron2.data.datasets import load_coco_json
from detectron2.data.datasets.pascal_voc import load_voc_instances
from hypothesis import given
from hypothesis import strategies as st
from voc.rules import Rules
from voc_files import CLASSES, HEIGHT, WIDTH, Folder, voc_object, voc_xml


def test_what_is_written(folder):
    boxes = voc_object("dog", (10, 20, 30, 50), truncated=1), voc_object("cat", (0, 0, 80, 60))
    folder.add("b", voc_xml(*boxes))
    folder.add("a", voc_xml(voc_object("bird", (1.234, 5, 7.891, 10.011))), ending=".PNG")
    content, notices = folder.convert(
        "b.jpg",
        "a",
        first_image_id=7,
        first_annotation_id=11,
        info={"description": "d", "source": "s"},
        scenes={("a", "a"): 4, ("b", "c"): 5},
    )
    assert json.dumps(content) == json.dumps(
        {
            "info": {"description": "d", "source": "s"},
            "licenses": [],
            "images": [
                {"id": 7, "file_name": "b.jpg", "width": 80, "height": 60, "scene": 5},
                {"id": 8, "file_name": "a.PNG", "width": 80, "height": 60, "scene": 4},
            ],
            "annotations": [
                {
                    "id": 11,
                    "image_id": 7,
                    "category_id": 2,
                    "bbox": [10.0, 20.0, 20.0, 30.0],
                    "area": 600.0,
                    "iscrowd": 0,
                },
                {
                    "id": 12,
                    "image_id": 7,
                    "category_id": 1,
                    "bbox": [0.0, 0.0, 80.0, 60.0],
                    "area": 4800.0,
                    "iscrowd": 0,
                },
                {
                    "id": 13,
                    "image_id": 8,
                    "category_id": 3,
                    "bbox": [1.23, 5.0, 6.66, 5.01],
                    "area": 33.37,
                    "iscrowd": 0,
                },
            ],
            "categories": [
                {"id": 1, "name": "cat", "supercategory": "object"},
                {"id": 2, "name": "dog", "supercategory": "object"},
                {"id": 3, "name": "bird", "supercategory": "object"},
            ],
        }
    )
    assert list(notices.lines()) == []


def corner_pairs(side, step):
    """Two coordinates in [0, side], multiples of ``step``, the first below the second."""
    ends = st.lists(st.integers(0, int(side / step)), min_size=2, max_size=2, unique=True)
    return ends.map(lambda pair: [value * step for value in sorted(pair)])


def objects(step):
    box = st.tuples(corner_pairs(WIDTH, step), corner_pairs(HEIGHT, step)).map(
        lambda xy: (xy[0][0], xy[1][0], xy[0][1], xy[1][1])
    )
    return st.lists(st.lists(st.tuples(st.sampled_from(CLASSES), box), max_size=4), max_size=4)


@pytest.mark.parametrize("step", [1, 1 / 64])
def test_boxes_come_back_as_they_were(tmp_path_factory, step):
    @given(objects(step))
    def holds(images):
        folder = Folder(tmp_path_factory.mktemp("voc") / "data")
        for place, entries in enumerate(images):
            folder.add(str(place), voc_xml(*(voc_object(*entry) for entry in entries)))
        content, _ = folder.convert(*map(str, range(len(images))), rules=Rules(decimals=6))
        back = [
            (a["image_id"], CLASSES[a["category_id"] - 1], a["bbox"])
            for a in content["annotations"]
        ]
        assert back == [
            (image_id, name, [x0, y0, x1 - x0, y1 - y0])
            for image_id, entries in enumerate(images, start=1)
            for name, (x0, y0, x1, y1) in entries
        ]

    holds()


def test_one_based_boxes_are_those_of_detectron2s_own_loader(folder):
    boxes = [("cat", (1, 1, 80, 60)), ("bird", (5, 6, 7, 8)), ("dog", (80, 60, 80, 60))]
    stem = folder.add("x", voc_xml(*(voc_object(*entry) for entry in boxes)))
    (folder.root / "ImageSets/Main").mkdir(parents=True)
    (folder.root / "ImageSets/Main/train.txt").write_text(f"{stem}\n{folder.add('y', voc_xml())}")
    expected, _ = load_voc_instances(str(folder.root), "train", CLASSES)

    content, _ = folder.convert(stem, rules=Rules(one_based=True))
    (folder.root / "x.json").write_text(json.dumps(content))
    (found,) = load_coco_json(str(folder.root / "x.json"), str(folder.images))
    assert (found["width"], found["height"]) == (expected["width"], expected["height"])
    for ours, theirs in zip(found["annotations"], expected["annotations"], strict=True):
        x, y, w, h = ours["bbox"]
        assert [x, y, x + w, y + h] == theirs["bbox"]
        assert ours["category_id"] - 1 == theirs["category_id"]


def test_difficult_objects(folder):
    entries = (
        voc_object("cat", (1, 2, 3, 4), difficult=1),
        voc_object("dog", (5, 6, 7, 8), difficult=0),
    )
    for rule, crowds in {"keep": [0, 0], "crowd": [1, 0], "drop": [0]}.items():
        content, notices = folder.convert_one(*entries, difficult=rule)
        assert [a["iscrowd"] for a in content["annotations"]] == crowds
        assert len(list(notices.lines())) == (rule != "keep")
