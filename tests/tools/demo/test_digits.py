"""The demo's data set: deterministic, valid COCO, tight boxes, nothing overwritten."""

import json

import cv2
import digits
import numpy as np
import pytest
from handwriting.image import make_image
from pycocotools.coco import COCO


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("digits") / "a folder"
    digits.write_digits(root, num_train=12, num_val=5, seed=3)
    return root


def contents(root):
    return {
        str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()
    }


@pytest.mark.parametrize(("split", "count"), [("train", 12), ("val", 5)])
def test_is_a_coco_dataset(dataset, split, count):
    coco = COCO(str(dataset / "annotations" / f"{split}.json"))
    assert {"info", "licenses"} <= set(coco.dataset)
    assert [coco.cats[label + 1]["name"] for label in range(10)] == list("0123456789")
    assert sorted(coco.imgs) == list(range(1, count + 1))
    assert sorted(coco.anns) == list(range(1, len(coco.anns) + 1))
    for image_id, record in coco.imgs.items():
        image = cv2.imread(str(dataset / split / record["file_name"]))
        assert image.shape == (record["height"], record["width"], 3)
        assert all(128 <= side <= 160 for side in image.shape[:2])
        annotations = coco.imgToAnns[image_id]
        assert 1 <= len(annotations) <= 6
        for annotation in annotations:
            x, y, width, height = annotation["bbox"]
            assert x >= 0
            assert x + width <= record["width"]
            assert y >= 0
            assert y + height <= record["height"]
            assert annotation["area"] == width * height > 0
            assert annotation["iscrowd"] == 0
            assert annotation["category_id"] in coco.cats


def test_the_annotations_are_those_of_the_images(dataset):
    coco = COCO(str(dataset / "annotations" / "val.json"))
    for index in range(5):
        _, boxes, classes = make_image(3, "val", index)
        annotations = coco.imgToAnns[index + 1]
        written = np.array([annotation["bbox"] for annotation in annotations])
        written[:, 2:] += written[:, :2]
        assert (written == boxes).all()
        assert [annotation["category_id"] - 1 for annotation in annotations] == list(classes)


def test_same_seed_same_bytes_and_other_seed_other_images(dataset, tmp_path):
    digits.write_digits(tmp_path / "again", num_train=12, num_val=5, seed=3)
    assert contents(tmp_path / "again") == contents(dataset)
    image, _, _ = make_image(3, "train", 0)
    other, _, _ = make_image(4, "train", 0)
    assert image.shape != other.shape or (image != other).any()


def test_an_image_does_not_depend_on_how_many_there_are(dataset, tmp_path):
    digits.write_digits(tmp_path / "few", num_train=2, num_val=1, seed=3)
    for file in ("train/000002.jpg", "val/000001.jpg"):
        assert (tmp_path / "few" / file).read_bytes() == (dataset / file).read_bytes()


def test_a_complete_dataset_is_left_alone(dataset, monkeypatch):
    monkeypatch.setattr(digits, "write_split", lambda *_: pytest.fail("wrote it again"))
    before = contents(dataset)
    digits.write_digits(dataset, num_train=12, num_val=5, seed=3)
    assert contents(dataset) == before


def test_anything_else_is_never_overwritten(dataset, tmp_path):
    before = contents(dataset)
    with pytest.raises(FileExistsError, match="a folder"):
        digits.write_digits(dataset, num_train=12, num_val=5, seed=4)
    assert contents(dataset) == before

    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=tmp_path.name):
        digits.write_digits(tmp_path, num_train=1, num_val=1)
    assert contents(tmp_path) == {"notes.txt": b"mine"}


def test_a_dataset_with_a_lost_file_is_reported(tmp_path):
    root = tmp_path / "data"
    digits.write_digits(root, num_train=2, num_val=1)
    (root / "train" / "000002.jpg").unlink()
    with pytest.raises(FileExistsError, match="not the complete data set"):
        digits.write_digits(root, num_train=2, num_val=1)


def test_an_empty_folder_is_filled(tmp_path):
    digits.write_digits(tmp_path, num_train=1, num_val=1)
    assert json.loads((tmp_path / "dataset.json").read_text())["num_train"] == 1


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(root, split, count, seed):
        if split == "val":
            raise KeyboardInterrupt
        write_split(root, split, count, seed)

    write_split = digits.write_split
    monkeypatch.setattr(digits, "write_split", interrupted)
    with pytest.raises(KeyboardInterrupt):
        digits.write_digits(tmp_path / "data", num_train=1, num_val=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", [{"num_train": 0}, {"num_val": -1}, {"seed": -1}])
def test_bad_numbers_are_named(tmp_path, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        digits.write_digits(tmp_path / "data", **{"num_train": 1, "num_val": 1, **bad})
