"""A run's folder becomes one strict JSON file."""

import json
import math
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest
from ablation.command import commands_of
from ablation.grid import Row
from ablation.record import curve, make_record, read_record, thinned, write_record
from ablation.runs import RowRun
from hypothesis import given
from hypothesis import strategies as st
from trainings import REPO, Run

STEPS = [
    {"iteration": 1, "total_loss": 3.0, "loss_cls": 2.0, "time": 0.5, "lr": 0.1},
    {"iteration": 3, "total_loss": 1.0, "loss_cls": math.nan, "time": 0.7, "tad/gate_box": 0.25},
    {"iteration": 3, "bbox/AP": 5.0, "bbox/AP50": 9.0, "bbox/APl": math.nan, "bbox/AP-cat": 5.0},
    {"iteration": 5, "total_loss": 0.123456789, "loss_cls": 0.1, "time": 9.0},
    {"iteration": 6, "bbox/AP": 7.0, "bbox/AP50": 11.0, "bbox/APl": math.nan, "bbox/AP-cat": 7.0},
]
STEPS += [{**STEPS[-1], "iteration": 7}]  # resumed when all was done but the record


@pytest.fixture
def row_run(tmp_path):
    """Of 6 iterations in two parts, on a GPU."""
    run = Run("all", tmp_path / "all", "c.yaml", [], 6)
    run.directory.mkdir()
    run.state = "finished"
    run.about = lambda: {"commit": "a", "dirty": False, "depends_on": {"X": 1}}
    run.begin_part()
    run.note(seconds=5.0, peak_rss_mib=700.0)
    run.about = lambda: {"commit": "b", "dirty": False, "depends_on": {"X": 1}}
    run.begin_part()
    run.note(seconds=7.0, peak_rss_mib=600.0)
    lines = [json.dumps(step) for step in STEPS]
    (run.directory / "metrics.json").write_text("\n".join(lines) + '\n{"iteration": 7, "tot')
    (run.directory / "log.txt").write_text("time: 1 max_mem: 812M\ntime: 1 max_mem: 931M\n")
    return RowRun(Row("all", "all terms"), 0, None, None, run, tmp_path / "all.json", {"X": 1})


@pytest.fixture
def record(row_run):
    write_record(row_run.record, make_record(row_run, Path("grid.yaml"), "python …"))
    return read_record(row_run.record)


def test_scores_are_the_last_ones_and_nan_is_null(record):
    assert record["scores"]["AP"] == 7.0
    assert record["scores"]["APl"] is None
    assert record["class_AP"] == {"cat": 7.0}
    assert record["AP_curve"] == {"iteration": [4, 6], "AP": [5.0, 7.0]}


def test_losses_and_gates_over_the_iterations(record):
    assert record["losses"] == {
        "iteration": [1, 3, 5],
        "loss_cls": [2.0, None, 0.1],
        "total_loss": [3.0, 1.0, 0.12346],
    }
    assert record["gates"] == {"iteration": [3], "gate_box": [0.25]}


def test_costs_are_of_all_parts(record):
    assert record["seconds"] == 12.0
    assert record["peak_rss_mib"] == 700.0
    assert record["cuda_max_memory_mib"] == 931
    assert record["seconds_per_iteration"] == 0.7


def test_it_says_of_which_commits_it_is(record):
    assert (record["commit"], record["other_commits"], record["parts"]) == ("a", ["b"], 2)
    assert record["depends_on"] == {"X": 1}


def test_json_is_strict_and_lists_of_numbers_are_one_line(row_run, record):
    text = row_run.record.read_text()
    json.loads(text, parse_constant=pytest.fail)
    assert '"iteration": [1, 3, 5],' in text


@given(st.integers(0, 300))
def test_a_thinned_curve_keeps_its_ends(length):
    values = thinned(range(length), 50)
    assert len(values) == min(length, 50)
    assert values == sorted(set(values))
    assert values[:1] + values[-1:] == [*range(length)][:1] + [*range(length)][-1:]


def test_a_curve_of_nothing_is_empty():
    assert curve([], {}) == {"iteration": []}


def test_the_command_runs_one_row_again_wherever_the_data_are():
    home = Path("/home/someone/data")
    datasets = [
        ("d_train", home / "annotations/train.json", home / "images"),
        ("d_val", REPO / "output/val.json", home / "images"),
    ]
    args = Namespace(grid=REPO / "configs/g.yaml", config=None, opts=["MODEL.DEVICE", "cuda"])
    run = SimpleNamespace(row=Row("all"), budget="long", seed=2)
    assert commands_of(args, datasets)(run) == (
        "python projects/TADistill/tools/ablate.py --grid configs/g.yaml --rows all "
        '--budgets long --seeds 2 --register-coco d_train "$DATA/annotations/train.json" '
        '"$DATA/images" --register-coco d_val output/val.json "$DATA/images" '
        "--output output/again/g --records output/again/g --opts MODEL.DEVICE cuda"
    )


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ("bccd/short", "bccd/again"),
        ("demo_xeon", "demo_xeon/again"),
        ("demo_xeon", "demo_xeon/again_2ghz"),
    ],
)
def test_a_run_that_was_made_again_is_the_same_to_the_last_digit(first, again):
    """As recorded/ablations/README.md says of the runs in the repository."""
    records = REPO / "projects/TADistill/recorded/ablations"
    paths = sorted((records / again).glob("*.json"))
    assert paths
    for path in paths:
        one, other = read_record(path), read_record(records / first / path.name)
        for key in ("scores", "class_AP", "AP_curve", "losses", "gates"):
            assert one.get(key) == other.get(key), (path.name, key)
