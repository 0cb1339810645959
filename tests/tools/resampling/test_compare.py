"""compare.py on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[3] / "projects/TADistill/tools/compare.py"


def compare(*arguments):
    return subprocess.run(
        [sys.executable, str(TOOL), *map(str, arguments)], capture_output=True, text=True
    )


def test_figures_are_printed_and_written_and_nothing_is_written_over(files, tmp_path):
    annotations, poor, good = files
    out = tmp_path / "out.json"
    arguments = [annotations, "--first", poor, poor, "--second", good, "--draws", 20]
    process = compare(*arguments, "--json", out, "--title", "toys")
    assert process.returncode == 0, process.stderr
    assert "of 20 draws of 8 images" in process.stdout
    assert "standard error by images and pairs" in process.stdout
    written = json.loads(out.read_text())
    assert written["title"] == "toys"
    assert len(written["aps"]) == 2
    assert written["images"] == 8
    assert written["boxes"] == len(json.loads(annotations.read_text())["annotations"])
    assert written["overall"]["mean"] == pytest.approx(written["by_pair"][0])
    assert written["annotations"]["name"] == "val.json"
    assert str(tmp_path) not in out.read_text()

    again = compare(*arguments, "--json", out)
    assert again.returncode == 1
    assert f"{out} exists already" in again.stderr
    assert json.loads(out.read_text()) == written


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--draws", "1"], "error: --draws 1: it must be at least 2"),
        (["--seed", "-1"], "error: --seed -1: it must not be negative"),
        (["--draws", "2", "--json", "{annotations}/out.json"], "error: [Errno "),
        (["--second", "{good}", "{good}", "{good}"], "--first has 2 files and --second 3"),
        (["--second", "{annotations}"], "val.json has no detections of these images"),
    ],
)
def test_what_cannot_be_compared_is_told_in_a_line(files, options, message):
    annotations, poor, good = files
    options = [each.format(annotations=annotations, good=good) for each in options]
    process = compare(annotations, "--first", poor, poor, "--second", good, good, *options)
    assert process.returncode == 1
    assert message in process.stderr
    assert "Traceback" not in process.stderr
