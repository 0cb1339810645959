"""Files that mean nothing are refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from voc.annotation import read_xml
from voc.errors import ConversionError
from voc.rules import Rules
from voc_files import HEIGHT, WIDTH, Folder, voc_object, voc_xml


def test_a_rule_that_there_is_not():
    with pytest.raises(ConversionError, match=r"outside is 'crop'; choose one of .*'clip'"):
        Rules(outside="crop")


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
