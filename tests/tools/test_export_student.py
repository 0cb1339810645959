"""The student out of a training checkpoint, by the tool."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer
from tiny import build, student_cfg

TOOL = Path(__file__).resolve().parents[2] / "projects/TADistill/tools/export_student.py"


@pytest.fixture
def run_dir(tmp_path, teacher_files):
    cfg = student_cfg(teacher_files)
    model = build(cfg)
    DetectionCheckpointer(model, str(tmp_path)).save("model_0000004")
    (tmp_path / "config.yaml").write_text(cfg.dump())
    return tmp_path


def export(*arguments):
    return subprocess.run(
        [sys.executable, str(TOOL), *map(str, arguments)], capture_output=True, text=True
    )


def test_student_comes_out_without_adapters(run_dir):
    process = export(run_dir / "model_0000004.pth")
    assert process.returncode == 0, process.stderr
    whole = torch.load(run_dir / "model_0000004.pth", weights_only=True)["model"]
    student = torch.load(run_dir / "model_0000004_student.pth", weights_only=True)["model"]
    assert set(whole) - set(student) == {key for key in whole if key.startswith("adapters.")}
    assert all(torch.equal(whole[key], tensor) for key, tensor in student.items())
    assert "TADISTILL" not in (run_dir / "model_0000004_student.yaml").read_text()


def test_nothing_is_written_over(run_dir):
    assert export(run_dir / "model_0000004.pth").returncode == 0
    second = export(run_dir / "model_0000004.pth")
    assert second.returncode != 0
    assert "model_0000004_student.pth exists already" in second.stderr
