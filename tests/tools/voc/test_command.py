"""``voc_to_coco.py`` and ``subset_coco.py``, as they are called."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import voc_to_coco
from pycocotools.coco import COCO
from subset_coco import subset
from voc.errors import ConversionError
from voc_files import CLASSES, voc_object, voc_xml

SAME = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
TOOLS = Path(voc_to_coco.__file__).parent


def run(tool, *arguments):
    return subprocess.run(
        [sys.executable, str(TOOLS / tool), *map(str, arguments)], capture_output=True, text=True
    )


@pytest.fixture
def command(folder):
    for stem, name in {"a": "cat", "b": "bird", "c": "dog"}.items():
        folder.add(stem, voc_xml(voc_object(name, (1, 2, 3, 4)), voc_object(name, (9, 9, 9, 9))))
    (folder.root / "train.txt").write_text("a\nc\n")
    (folder.root / "val.txt").write_text("b\n")
    (folder.root / "classes.txt").write_text("\n".join(CLASSES))

    def convert_split(split, *options):
        paths = (folder.root / name for name in (f"{split}.txt", "classes.txt", f"{split}.json"))
        return run("voc_to_coco.py", folder.xmls, folder.images, *paths, *options)

    return convert_split


def test_two_splits_and_a_part_of_one(folder, command):
    train, val, part = (folder.root / f"{name}.json" for name in ("train", "val", "part"))
    process = command("train", "--no-area", "drop")
    assert process.returncode == 0, process.stderr
    assert process.stderr == "note: boxes without area dropped: 2 (a.xml, c.xml)\n"
    assert command("val", "--no-area", "drop", "--ids-after", train).returncode == 0
    (folder.root / "part.txt").write_text("c.jpg")
    process = run("subset_coco.py", train, folder.root / "part.txt", part)
    assert process.returncode == 0, process.stderr

    ids = {
        path: (sorted(coco.imgs), sorted(coco.anns), sorted(coco.cats))
        for path in (train, val, part)
        for coco in [COCO(str(path))]
    }
    assert ids[train] == ([1, 2], [1, 2], [1, 2, 3])
    assert ids[val] == ([3], [3], [1, 2, 3])
    assert ids[part] == ([2], [2], [1, 2, 3])


def test_what_is_wrong_is_one_line_and_nothing_is_written(folder, command):
    process = command("train")
    assert process.returncode == 1
    assert process.stderr.startswith("error: 2 of 2 images cannot be converted:\n")
    assert "Traceback" not in process.stderr
    assert not list(folder.root.glob("*.json*"))


def test_nothing_is_written_over(folder, command):
    (folder.root / "train.json").write_text("mine")
    process = command("train", "--no-area", "drop")
    assert process.returncode == 1
    assert "train.json exists already" in process.stderr
    assert (folder.root / "train.json").read_text() == "mine"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "no COCO data set"),
        ("{", "no COCO data set"),
        ('{"images": [{}], "annotations": [], "categories": []}', "not all images have an id"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "x"}]}', "other cl"),
        ('{"images": [{"id": "a"}], "annotations": [], "categories": CLASSES}', "no numbers"),
    ],
)
def test_ids_after_something_else(folder, command, content, words):
    (folder.root / "other.json").write_text(content.replace("CLASSES", json.dumps(SAME)))
    process = command("train", "--ids-after", folder.root / "other.json")
    assert process.returncode == 1
    assert words in process.stderr
    assert "Traceback" not in process.stderr


def test_a_part_with_a_name_that_is_not_there(folder):
    folder.add("a", voc_xml())
    content, _ = folder.convert("a")
    with pytest.raises(ConversionError, match=r"1 of 2 names .* b\.jpg"):
        subset(content, ["a.jpg", "b.jpg"])
