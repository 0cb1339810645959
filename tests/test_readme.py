"""The README's script for other projects runs as it stands there, and its figures are those of the
pages that are made of records.
"""

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from detectron2.config import get_cfg
from tiny import plain_cfg

from tadistill import add_tadistill_config
from tadistill.merging import merge_file
from tadistill.options import DistillationOptions

README = Path(__file__).resolve().parents[1] / "README.md"
PROJECT = README.parent / "projects/TADistill"
FIGURE = re.compile(r"(?<![\w.])[+-]?\d+\.\d+(?: ± \d+\.\d+)?")
SEEDS = re.compile(r"(?:[+-]?\d+\.\d+, ){2,}[+-]?\d+\.\d+")


def script():
    marker = "test_readme.py runs this. -->"
    return re.search(marker + r"\n```python\n(.*?)```", README.read_text(), re.S).group(1)


def test_script_is_at_most_thirty_lines():
    assert len(script().splitlines()) <= 30


def test_config_of_the_papers_pair_is_the_one_that_it_names():
    text = re.search(r"```yaml\n(.*?)```", README.read_text(), re.S).group(1)
    file = README.parent / "configs/COCO/R_50_FPN_1x_from_R_101_FPN_3x.yaml"
    assert yaml.safe_load(text) == yaml.safe_load(file.read_text())


def test_config_of_a_student_of_a_teacher_of_ones_own_is_one(tmp_path):
    text = re.search(r"loads this. -->\n```yaml\n(.*?)```", README.read_text(), re.S).group(1)
    cfg = get_cfg()
    add_tadistill_config(cfg)
    (tmp_path / "my_student.yaml").write_text(text)
    (tmp_path / "configs").symlink_to(README.parent / "configs")
    merge_file(cfg, str(tmp_path / "my_student.yaml"), "README.md")
    DistillationOptions.from_cfg(cfg)
    assert cfg.MODEL.META_ARCHITECTURE == "TADistillRCNN"
    assert cfg.MODEL.ROI_HEADS.NUM_CLASSES == 3
    assert max(cfg.SOLVER.STEPS) < cfg.SOLVER.MAX_ITER


def figures(*texts):
    """Numbers with a decimal, with their sign and their spread: of any line, and across lines."""
    return {figure for text in texts for figure in FIGURE.findall(in_a_line(text))}


def in_a_line(text):
    return " ".join(text.split())


def test_figures_of_results_are_those_of_the_pages_made_of_records():
    """A record that is added changes a page's means, and then a sentence here is out of date."""
    text = README.read_text()
    results = text[text.index("## Results") : text.index("### What a step costs")]
    names = ["RESULTS.md", "recorded/demo/results.md", *PROJECT.glob("results/*.md")]
    pages = [(PROJECT / name).read_text() for name in names]
    assert len(figures(results)) > 50
    assert figures(results) - figures(*pages) == set()
    # One figure of a tenth is on some page by chance; those of three seeds and more are not.
    by_seed = SEEDS.findall(in_a_line(results))
    assert len(by_seed) > 15
    assert [seeds for seeds in by_seed if not any(seeds in in_a_line(p) for p in pages)] == []


def test_figures_of_costs_are_those_of_the_benchmark():
    text = README.read_text()
    first, last = text.index("### What a step costs"), text.index("### Does it hold?")
    found = figures(text[first:last])
    assert len(found) > 25
    assert found - figures((PROJECT / "BENCHMARK.md").read_text()) == set()


def test_table_of_the_demo_is_what_the_demo_wrote():
    table = (PROJECT / "recorded/demo/results.md").read_text().split("\n\n")[0]
    assert table.startswith("| | AP |")
    assert table in README.read_text()


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
