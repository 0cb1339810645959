"""Pascal VOC XML to COCO JSON: what is converted, what is refused, and the lists of the splits."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import voc_to_coco
from detectron2.data.datasets import load_coco_json
from detectron2.data.datasets.pascal_voc import load_voc_instances
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO
from subset_coco import subset
from voc_to_coco import ConversionError, Rules, convert, read_list, read_scenes, read_xml

TOOLS = Path(voc_to_coco.__file__).parent
SPLITS = TOOLS.parent / "splits"
WIDTH, HEIGHT = 80, 60
CLASSES = ["cat", "dog", "bird"]


def voc_object(name, box, **tags):
    corners = "".join(
        f"<{tag}>{value}</{tag}>" for tag, value in zip(voc_to_coco.CORNERS, box, strict=True)
    )
    others = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags.items())
    return f"<object><name>{name}</name>{others}<bndbox>{corners}</bndbox></object>"


def voc_xml(*objects, size=(WIDTH, HEIGHT)):
    sides = f"<width>{size[0]}</width><height>{size[1]}</height>" if size else ""
    size = f"<size>{sides}<depth>3</depth></size>" if size else ""
    return f"<annotation><filename>wrong.png</filename>{size}{''.join(objects)}</annotation>"


class Folder:
    """XMLs and images of a data set, in the layout of Pascal VOC."""

    def __init__(self, root):
        self.root, self.xmls, self.images = root, root / "Annotations", root / "JPEGImages"
        self.xmls.mkdir(parents=True)
        self.images.mkdir()

    def add(self, stem, xml, ending=".jpg", size=(WIDTH, HEIGHT), orientation=1):
        exif = Image.Exif()
        exif[voc_to_coco.EXIF_ORIENTATION] = orientation
        Image.new("RGB", size).save(self.images / (stem + ending), exif=exif)
        (self.xmls / f"{stem}.xml").write_text(xml)
        return stem

    def convert(self, *names, rules=None, **others):
        return convert(self.xmls, self.images, names, CLASSES, rules, **others)

    def convert_one(self, *objects, size=(WIDTH, HEIGHT), **rules):
        stem = self.add("one", voc_xml(*objects, size=size))
        return self.convert(stem, rules=Rules(**rules))


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "a folder")


# ------------------------------------------------------------------------------ what is converted


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


# --------------------------------------------------------------------------------- the real world


@pytest.mark.parametrize("size", [None, (60, 80), ("", ""), ("many", 60)])
def test_a_missing_or_wrong_size_is_the_images(folder, size):
    content, notices = folder.convert_one(voc_object("cat", (1, 2, 80, 60)), size=size)
    assert (content["images"][0]["width"], content["images"][0]["height"]) == (WIDTH, HEIGHT)
    assert "one.xml" in next(notices.lines())


def test_the_size_is_the_one_after_exif_rotation(folder):
    for orientation in range(1, 9):
        folder.add("x", voc_xml(size=None), orientation=orientation)
        image = folder.convert("x")[0]["images"][0]
        expected = (WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH)
        assert (image["width"], image["height"]) == expected


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (5, 5, 9, 5), (9, 5, 5, 9), (5, 5, 5.004, 9)])
def test_a_box_without_area(folder, box):
    entries = voc_object("cat", box), voc_object("dog", (1, 2, 3, 4))
    with pytest.raises(ConversionError, match=r"one\.xml: object 1 \(cat\) has a box without area"):
        folder.convert_one(*entries)
    content, notices = folder.convert_one(*entries, no_area="drop")
    assert [(a["id"], a["category_id"]) for a in content["annotations"]] == [(1, 2)]
    assert list(notices.lines()) == ["boxes without area dropped: 1 (one.xml)"]


@pytest.mark.parametrize(
    ("box", "clipped"),
    [
        ((-3, 5, 9, 9), [0, 5, 9, 4]),
        ((5, 5, 80.5, 1e300), [5, 5, 75, 55]),
        ((5, -0.01, 9, 60.01), [5, 0, 4, 60]),
        ((5, 5, 9, 61), [5, 5, 4, 55]),
        ((90, 5, 99, 9), None),
    ],
)
def test_a_box_that_leaves_its_image(folder, box, clipped):
    with pytest.raises(ConversionError, match=r"one\.xml: object 1 \(cat\) .* leaves its image"):
        folder.convert_one(voc_object("cat", box), no_area="drop")
    content, _ = folder.convert_one(voc_object("cat", box), outside="clip", no_area="drop")
    assert [a["bbox"] for a in content["annotations"]] == ([clipped] if clipped else [])


def test_an_image_without_boxes_is_kept(folder):
    content, notices = folder.convert_one()
    assert len(content["images"]) == 1
    assert "without a box" in next(notices.lines())


def test_another_class(folder):
    entries = voc_object("unicorn", (1, 2, 3, 4)), voc_object("dog", (1, 2, 3, 4))
    with pytest.raises(ConversionError, match=r"one\.xml: object 1 \(unicorn\) has a class"):
        folder.convert_one(*entries)
    content, notices = folder.convert_one(*entries, other_classes="drop")
    assert [a["category_id"] for a in content["annotations"]] == [2]
    assert "other classes" in next(notices.lines())


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (voc_object("cat", (1, 2, "three", 4)), r"\(cat\) has <xmax> 'three'"),
        (voc_object("cat", ("nan", 2, 3, 4)), "<xmin> 'nan'"),
        (voc_object("cat", (1, 2, 3, "inf")), "<ymax> 'inf'"),
        (voc_object("cat", (1, 2, 3, "")), "<ymax> ''"),
        ("<object><name>cat</name></object>", "no <bndbox>"),
        ("<object><name>cat</name><bndbox/></object>", "<xmin> None"),
        ("<object/>", "no <name>"),
        (voc_object("cat", (1, 2, 3, 4), difficult="very"), "<difficult> 'very'"),
    ],
)
def test_an_object_that_means_nothing(folder, entry, words):
    with pytest.raises(ConversionError, match=rf"one\.xml: object 1 .*{words}"):
        folder.convert_one(entry)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no element found"),
        (b"<annotation><object></annotation>", "mismatched tag: line 1"),
        (b"\x89PNG\r\n", "is not an XML"),
        (b"<coco/>", "its root is <coco>"),
        (b"<?xml version='1.0' encoding='klingon'?><annotation/>", "encoding"),
        (b"<!DOCTYPE annotation SYSTEM 'file:///etc/passwd'><annotation/>", "DOCTYPE"),
    ],
)
def test_an_xml_that_is_none(folder, content, words):
    folder.add("x", "")
    (folder.xmls / "x.xml").write_bytes(content)
    with pytest.raises(ConversionError, match=rf"(?s)x\.xml.*{words}"):
        folder.convert("x")


@pytest.mark.timeout(20)
def test_entities_that_would_fill_the_memory(folder):
    entities = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10 if n else 'ha'}'>" for n in range(20))
    path = folder.xmls / "x.xml"
    path.write_text(f"<!DOCTYPE a [{entities}]><annotation>&e19;</annotation>")
    with pytest.raises(ConversionError, match=r"x\.xml .* DOCTYPE"):
        read_xml(path)


def test_deep_nesting(folder):
    path = folder.xmls / "x.xml"
    path.write_text(f"<annotation>{'<object>' * 100_000}{'</object>' * 100_000}</annotation>")
    assert len(read_xml(path).findall("object")) == 1


SAMPLE = voc_xml(voc_object("cat", (1, 2, 3, 4), difficult=0)).encode()


@given(st.integers(0, len(SAMPLE)), st.integers(0, 20), st.binary(max_size=8))
def test_a_damaged_xml_is_converted_or_named(tmp_path_factory, place, length, bytes_):
    folder = Folder(tmp_path_factory.mktemp("voc") / "data")
    folder.add("x", "")
    (folder.xmls / "x.xml").write_bytes(SAMPLE[:place] + bytes_ + SAMPLE[place + length :])
    try:
        content, _ = folder.convert("x")
    except ConversionError as error:
        message, boxes = str(error), []
    else:
        message, boxes = "x.xml", [a["bbox"] for a in content["annotations"]]
    assert "x.xml" in message
    for x, y, w, h in boxes:
        assert 0 <= x < x + w <= WIDTH
        assert 0 <= y < y + h <= HEIGHT


def test_all_files_that_cannot_be_converted_are_named_at_once(folder):
    for stem in "abcd":
        folder.add(stem, voc_xml())
    (folder.images / "a.jpg").unlink()
    (folder.xmls / "b.xml").unlink()
    (folder.images / "c.jpg").write_bytes(b"no image")
    Image.new("RGB", (8, 8)).save(folder.images / "d.png")
    with pytest.raises(ConversionError) as caught:
        folder.convert("a", "b", "c", "d", "e.jpg")
    message = str(caught.value)
    assert message.startswith("5 of 5 images")
    for words in ("a: there is no such image", "b.xml: there is no such file", "c.jpg cannot be"):
        assert words in message
    assert "d.jpg, d.png: name it with its ending" in message
    assert "e.jpg: there is no such image" in message


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "empty"), ("\n \n", "empty"), ("a\nb\na\n", "1 twice: a"), (None, "cannot be read")],
)
def test_a_list_that_is_none(tmp_path, content, words):
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConversionError, match=rf"list\.txt .*{words}"):
        read_list(path)


def test_a_list_from_windows(tmp_path):
    (tmp_path / "list.txt").write_bytes("\ufeffa b\r\n\r\nc\r\n".encode())
    assert read_list(tmp_path / "list.txt") == ["a b", "c"]


@pytest.mark.parametrize(
    ("scenes", "count"),
    [({}, 0), ({("a", "b"): 1, ("z", "zz"): 2}, 0), ({("x", "z"): 1, ("y", "y"): 2}, 2)],
)
def test_an_image_that_is_not_in_one_scene(folder, scenes, count):
    folder.add("y", voc_xml())
    with pytest.raises(ConversionError, match=f"y is in {count} scenes"):
        folder.convert("y", scenes=scenes)


@pytest.mark.parametrize("line", ["1 a", "1 a b c", "one a b"])
def test_scenes_that_are_none(tmp_path, line):
    (tmp_path / "scenes.txt").write_text(f"0 a b\n{line}\n")
    with pytest.raises(ConversionError, match=rf"scenes\.txt: '{line}' is not SCENE FIRST LAST"):
        read_scenes(tmp_path / "scenes.txt")


# -------------------------------------------------------------------------------- the command line


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
    ],
)
def test_ids_after_something_else(folder, command, content, words):
    (folder.root / "other.json").write_text(content)
    process = command("train", "--ids-after", folder.root / "other.json")
    assert process.returncode == 1
    assert words in process.stderr
    assert "Traceback" not in process.stderr


def test_a_part_with_a_name_that_is_not_there(folder):
    folder.add("a", voc_xml())
    content, _ = folder.convert("a")
    with pytest.raises(ConversionError, match=r"1 of 2 names .* b\.jpg"):
        subset(content, ["a.jpg", "b.jpg"])


# ---------------------------------------------------------------------------- the lists in the repo


def test_files_that_the_page_links_to_exist():
    page = TOOLS.parent / "DATA.md"
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert links
    assert not [link for link in links if not (page.parent / link).exists()]


def test_options_that_the_page_names_exist():
    named = set(re.findall(r"--[a-z]+(?:-[a-z]+)+", (TOOLS.parent / "DATA.md").read_text()))
    known = {option for action in voc_to_coco.parser()._actions for option in action.option_strings}
    assert named & known >= {"--ids-after", "--no-area", "--one-based"}
    assert named - known == {"--config-file", "--register-coco"}  # of train_net.py


COUNTS = {
    "bccd": {"train": 205, "val": 87, "test": 72, "dev_fit": 165, "dev_hold": 40, "classes": 3},
    "foda_mini": {"train": 2880, "val": 764, "dev_fit": 2001, "dev_hold": 634, "classes": 31},
    "digits": {"dev_fit": 1700, "dev_hold": 300},
}


@pytest.mark.parametrize("data", COUNTS)
def test_the_lists(data):
    lists = {path.stem: path for path in (SPLITS / data).glob("*.txt")}
    scenes = lists.pop("scenes", None)
    names = {stem: read_list(path) for stem, path in lists.items()}
    assert {stem: len(entries) for stem, entries in names.items()} == COUNTS[data]
    assert not set(names["dev_fit"]) & set(names["dev_hold"])
    if "train" in names:
        assert set(names["dev_fit"]) | set(names["dev_hold"]) <= set(names["train"])
        others = set(names["val"]) | set(names.get("test", []))
        assert len(others) == len(names["val"]) + len(names.get("test", []))
        assert not others & set(names["train"])
    assert (scenes is None) == (data != "foda_mini")


@pytest.mark.parametrize(
    ("fit", "held", "shared"), [("train", "val", 6), ("dev_fit", "dev_hold", 12)]
)
def test_scenes_are_held_out_whole_or_behind_a_gap(fit, held, shared):
    scenes = read_scenes(SPLITS / "foda_mini/scenes.txt")
    order = {name: place for place, name in enumerate(read_list(SPLITS / "foda_mini/train.txt"))}

    def by_scene(split):
        frames = {}
        for name in read_list(SPLITS / f"foda_mini/{split}.txt"):
            frames.setdefault(voc_to_coco.scene_of(name[:-4], scenes), []).append(name)
        return frames

    fit, held = by_scene(fit), by_scene(held)
    both = fit.keys() & held.keys()
    assert len(both) == shared
    for scene in both:
        last, first = max(fit[scene]), min(held[scene])
        assert last < first
        if first in order:  # of 90 frames, 9 are in neither list
            assert order[first] - order[last] == 10
