"""What real data have: sizes that are wrong, boxes that are none or leave their image."""

import pytest
from voc.errors import ConversionError
from voc_files import HEIGHT, WIDTH, voc_object, voc_xml


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
