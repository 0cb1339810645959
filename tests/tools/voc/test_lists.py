"""Lists of images, and scenes."""

import pytest
from voc.errors import ConversionError
from voc.lists import read_list
from voc.scenes import read_scenes
from voc_files import voc_xml


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
