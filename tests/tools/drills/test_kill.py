"""The drill of kills, short, and that it would notice a training that went another way."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "projects/TADistill/tools/drills/kill.py"


@pytest.fixture(scope="module")
def kill():
    spec = importlib.util.spec_from_file_location("kill", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    path = list(sys.path)
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path[:] = path


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("drill")


@pytest.fixture(scope="module")
def result(kill, work):
    return kill.drill(3, work)


def test_a_training_that_is_killed_three_times_ends_as_one_that_is_not(result):
    assert result["kills_by_kind"] == {"step": 1, "checkpoint": 1, "evaluation": 1}
    assert result["survived"] == 3
    assert result["tensors_compared"] > 500


def test_differences_are_noticed(result, kill, work, tmp_path):
    whole = kill.Training(work / "whole", work / "data")
    assert kill.differences(whole, whole) == []

    other = kill.Training(tmp_path / "other", work / "data")
    shutil.copytree(work / "whole", other.directory)
    metrics = other.directory / "metrics.json"
    lines = metrics.read_text().splitlines()
    changed = {**json.loads(lines[0]), "tad/decay": 0.123}
    metrics.write_text("\n".join([json.dumps(changed), *lines[1:-1], lines[-1][:30]]))
    shutil.copy(other.directory / "model_0000006.pth", other.directory / "model_final.pth")
    found = kill.differences(other, whole)
    assert "tad/decay of iteration 19" in found
    assert "there is no AP at the end" in found
    assert "/model/roi_heads.box_predictor.cls_score.weight" in found
