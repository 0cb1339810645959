"""The README's script for other projects runs as it stands there."""

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny import plain_cfg

README = Path(__file__).resolve().parents[1] / "README.md"


def script():
    marker = "test_readme.py runs this. -->"
    return re.search(marker + r"\n```python\n(.*?)```", README.read_text(), re.S).group(1)


def test_script_is_at_most_thirty_lines():
    assert len(script().splitlines()) <= 30


def test_files_that_the_readme_links_to_exist():
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README.read_text())
    files = [link for link in links if not link.startswith("http")]
    assert files
    missing = [file for file in files if not (README.parent / file).exists()]
    assert not missing


@pytest.fixture
def own_project(tmp_path, monkeypatch, teacher_files, registered_datasets):
    """A folder with the files that the script names."""
    (tmp_path / "student.yaml").write_text(plain_cfg("SOLVER.MAX_ITER", 3).dump())
    shutil.copy(teacher_files.config, tmp_path / "teacher.yaml")
    shutil.copy(teacher_files.weights, tmp_path / "teacher.pth")
    (tmp_path / "images").mkdir()
    noise = np.random.default_rng(0)
    for index in range(4):
        image = noise.integers(0, 256, (64, 80, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"images/{index}.png"), image)
    images = [{"id": i, "file_name": f"{i}.png", "height": 64, "width": 80} for i in range(4)]
    boxes = [
        {
            "id": i + 1,
            "image_id": i,
            "category_id": i % 3 + 1,
            "bbox": [8, 8, 40, 32],
            "area": 1280,
            "iscrowd": 0,
        }
        for i in range(4)
    ]
    categories = [{"id": i, "name": f"class {i}"} for i in (1, 2, 3)]
    dataset = {"images": images, "annotations": boxes, "categories": categories}
    (tmp_path / "train.json").write_text(json.dumps(dataset))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_script_trains_and_exports_a_student(own_project):
    exec(compile(script(), str(README), "exec"), {})
    exported = torch.load(own_project / "output/student_final.pth", weights_only=True)
    assert exported["model"]
    assert not any(name.startswith("adapters") for name in exported["model"])
    metrics = (own_project / "output/metrics.json").read_text()
    assert "tad/decay" in metrics
    assert "loss_tad_logit" in metrics
