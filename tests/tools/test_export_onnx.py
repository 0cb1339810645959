"""A student as an ONNX graph, by the tool."""

import importlib
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch
from tiny import build, liven, student_cfg

from tadistill import export_student
from tadistill.errors import ConfigError

pytest.importorskip("onnxruntime")
TOOL = Path(__file__).resolve().parents[2] / "projects/TADistill/tools/export_onnx.py"


@pytest.fixture
def student(tmp_path, teacher_files):
    """A plain student's two files, and an image."""
    cfg = student_cfg(teacher_files)
    export_student(liven(build(cfg)), cfg, str(tmp_path))
    pixels = torch.randint(0, 256, (60, 90, 3), generator=torch.Generator().manual_seed(0))
    cv2.imwrite(str(tmp_path / "photo.png"), pixels.numpy())
    return tmp_path


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOL.parent))
    return importlib.import_module("export_onnx")


def test_a_graph_lies_beside_the_config_and_was_compared(student):
    command = [sys.executable, TOOL, student / "student_final.yaml", student / "photo.png"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert lines[0].startswith("64 x 96: 10 detections, at most ")
    assert lines[1].startswith("32 x 96: 10 detections, at most ")
    assert "the shorter side 64 and the longer at most 96 -> pred_boxes, pred_" in lines[-1]
    assert {path.name for path in student.glob("*.onnx*")} == {"student_final.onnx"}


def test_nothing_is_written_over(tool, student):
    (student / "student_final.onnx").write_text("a user's")
    with pytest.raises(ConfigError, match=r"--output .*student_final\.onnx exists already"):
        export(tool, student)
    assert (student / "student_final.onnx").read_text() == "a user's"


def test_an_image_that_cannot_be_read_is_named(tool, student):
    (student / "photo.png").write_text("no image")
    with pytest.raises(ConfigError, match=r"IMAGE .*photo\.png cannot be read"):
        export(tool, student)
    assert not list(student.glob("*.onnx*"))


def test_a_graph_that_says_otherwise_is_not_written(tool, student, monkeypatch):
    monkeypatch.setattr(tool, "PIXELS", 0.0)
    with pytest.raises(ConfigError, match="on an image of 64 x 96 the graph says otherwise"):
        export(tool, student)
    assert not list(student.glob("*.onnx*"))


def test_images_in_which_nothing_is_found_show_nothing(tool, student):
    config = student / "student_final.yaml"
    text = config.read_text()
    assert "SCORE_THRESH_TEST: 0.0" in text
    config.write_text(text.replace("SCORE_THRESH_TEST: 0.0", "SCORE_THRESH_TEST: 1.0"))
    with pytest.raises(ConfigError, match="nothing was detected on any IMAGE"):
        export(tool, student)
    assert not list(student.glob("*.onnx*"))


def test_a_folder_that_is_not_there(tool, student):
    with pytest.raises(ConfigError, match="there is no such folder"):
        export(tool, student, "--output", str(student / "nowhere/student.onnx"))


def test_masks_are_refused(tool, student):
    config = student / "student_final.yaml"
    config.write_text(config.read_text().replace("MODEL:\n", "MODEL:\n  MASK_ON: true\n"))
    with pytest.raises(ConfigError, match=r"MODEL\.MASK_ON or KEYPOINT_ON is True"):
        export(tool, student)


def export(tool, student, *more):
    files = [str(student / "student_final.yaml"), str(student / "photo.png")]
    tool.main(tool.parsed([*files, *more]))
