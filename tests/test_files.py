"""Files that are whole or not there."""

import errno

import pytest

from tadistill.files import PARTIAL, written_whole


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    return path


def names(path):
    return sorted(p.name for p in path.parent.iterdir())


def test_the_new_file_takes_the_place_of_the_old_at_the_end(path):
    with written_whole(str(path), "w") as file:
        file.write("after")
        file.flush()
        assert path.read_text() == "before"
        assert names(path) == ["file", "file" + PARTIAL]
    assert path.read_text() == "after"
    assert names(path) == ["file"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("unexpected pos 64")]
)
def test_a_disk_that_is_full_leaves_the_old_file_and_says_so(path, error):
    def write():
        with written_whole(str(path), "w") as file:
            file.write("half")
            raise error

    with pytest.raises(OSError, match=f"{path} cannot be written .* free\\)") as raised:
        write()
    assert str(error) in str(raised.value)
    assert path.read_text() == "before"
    assert names(path) == ["file"]


def test_a_folder_that_is_gone_is_an_error_that_names_the_file(tmp_path):
    path = tmp_path / "gone" / "file"
    with pytest.raises(OSError, match=f"{path} cannot be written \\(its folder is gone\\)"):
        written_whole(str(path)).__enter__()


def test_a_remainder_of_a_killed_process_is_written_over(path):
    (path.parent / ("file" + PARTIAL)).write_text("a longer remainder than the new file")
    with written_whole(str(path), "w") as file:
        file.write("new")
    assert path.read_text() == "new"
