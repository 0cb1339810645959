"""The demo from end to end, on a handful of images and iterations."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from run import STUDENTS, configs_of_trained_models, finish
from trainings import Run
from trainings.process import lock_of

ROOT = Path(__file__).resolve().parents[3]
RUN = ROOT / "projects/TADistill/tools/demo/run.py"
QUICK = [  # and with fewer regions, whose RoIAlign takes most of a step
    *("--opts", "SOLVER.MAX_ITER", "6", "TEST.EVAL_PERIOD", "3", "SOLVER.IMS_PER_BATCH", "2"),
    *("MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE", "32", "MODEL.RPN.POST_NMS_TOPK_TRAIN", "100"),
]


def demo(output, *arguments, opts=()):
    return subprocess.run(
        [
            sys.executable,
            str(RUN),
            *("--output", str(output), "--num-train", "8", "--num-val", "6"),
            *arguments,
            *QUICK,
            *opts,
        ],
        capture_output=True,
        text=True,
        timeout=500,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    output = tmp_path_factory.mktemp("a demo with spaces")
    return output, demo(output, "--seeds", "0", "1")


def test_ends_with_a_table_of_all_three_models(finished):
    _, process = finished
    assert process.returncode == 0, process.stdout + process.stderr
    for word in ("teacher", "baseline", "distilled", "AP50", "GFLOPs", "flatters"):
        assert word in process.stdout


def test_a_training_that_another_process_is_at_has_no_row(tmp_path):
    """As one of a demo that was killed, which goes on: its last AP is not a training's result."""
    run = Run("baseline, seed 1", tmp_path, "configs/demo/baseline.yaml", [], 6)
    lock = lock_of(run)
    with pytest.raises(SystemExit, match="another process is at baseline, seed 1: wait for it"):
        finish([run], Console(quiet=True))
    os.close(lock)


def test_rows_are_one_a_model_and_seed(finished):
    output, _ = finished
    rows = json.loads((output / "results.json").read_text())["rows"]
    assert [(row["name"], row["seed"]) for row in rows] == [
        ("teacher", 0),
        ("baseline", 0),
        ("baseline", 1),
        ("distilled", 0),
        ("distilled", 1),
    ]
    for row in rows:
        assert row["parameters"] > 0
        assert row["gflops"] > 0
        assert row["seconds_per_iteration"] > row["seconds_per_image"] / 100 > 0
        assert 0 <= row["AP"] <= 100
    by_name = {row["name"]: row for row in rows}
    assert by_name["baseline"]["parameters"] == by_name["distilled"]["parameters"]
    assert by_name["teacher"]["parameters"] > by_name["baseline"]["parameters"]


def test_shipped_teacher_has_learnt_its_task(finished):
    output, _ = finished
    teacher = json.loads((output / "results.json").read_text())["rows"][0]
    assert teacher["AP"] > 40  # of six images, never seen in its training


def test_curves_and_picture_are_written(finished):
    output, _ = finished
    curves = json.loads((output / "results.json").read_text())["curves"]
    assert [iteration for iteration, _ in curves["AP"]["distilled"]["1"]] == [3, 6]
    assert set(curves["gates"]) == {"gate_logit", "gate_box", "decay"}
    assert (output / "results.png").stat().st_size > 10_000
    assert "| distilled |" in (output / "results.md").read_text()


def test_second_call_trains_nothing_again(finished):
    output, _ = finished
    log = output / "runs/baseline_seed0/metrics.json"
    written = log.stat().st_mtime_ns
    process = demo(output, "--seeds", "0")
    assert process.returncode == 0, process.stdout + process.stderr
    assert log.stat().st_mtime_ns == written
    assert "one seed" in process.stdout


def test_run_of_another_command_is_not_taken_for_this_one(finished):
    output, _ = finished
    process = demo(output, "--seeds", "0", opts=("SOLVER.BASE_LR", "0.1"))
    assert process.returncode != 0
    assert "holds another run: SOLVER.BASE_LR was 0.005 and is 0.1. Remove" in process.stderr


def test_nor_is_one_of_before_a_config_was_changed(finished):
    output, _ = finished
    record = output / "runs/distilled_seed0/demo_run.json"
    kept = record.read_text()
    was = json.loads(kept)
    was["depends_on"]["MODEL.TADISTILL.BALANCE.ENABLED"] = False
    record.write_text(json.dumps(was))
    process = demo(output, "--seeds", "0")
    record.write_text(kept)
    assert process.returncode != 0
    assert "BALANCE.ENABLED was False and is True" in process.stderr


def test_missing_teacher_is_named(tmp_path):
    process = demo(tmp_path, "--teacher", str(tmp_path / "none.pth"))
    assert process.returncode != 0
    assert "none.pth: there is no such file" in process.stderr


def test_interrupted_demo_goes_on(finished):
    # As after a Ctrl-C: one student has no more than it had at its last checkpoint, the other has
    # not come to its first, and the teacher was being evaluated.
    output, _ = finished
    for name in ("baseline_seed0", "distilled_seed0", "teacher_evaluation"):
        record = output / "runs" / name / "demo_run.json"
        record.write_text(record.read_text().replace('"finished"', '"started"'))
    begun = output / "runs/distilled_seed0"
    for path in [*begun.glob("*.pth"), begun / "last_checkpoint"]:
        path.unlink()
    process = demo(output, "--seeds", "0")
    assert process.returncode == 0, process.stdout + process.stderr
    assert (begun / "student_final.pth").exists()
    curves = json.loads((output / "results.json").read_text())["curves"]["AP"]
    assert [iteration for iteration, _ in curves["distilled"]["0"]] == [3, 6]


def test_all_three_are_measured_on_the_device_that_trainings_have(tmp_path, monkeypatch):
    """And a teacher that was not trained here stays the network that it is."""
    monkeypatch.chdir(tmp_path)  # and back, at the end: it goes to the repository
    opts = ["MODEL.DEVICE", "cuda", "MODEL.FPN.OUT_CHANNELS", 24]
    runs = {(name, 0): Run(name, tmp_path, "", [], overrides=opts) for name in STUDENTS}
    cfgs = configs_of_trained_models(runs, 0, tmp_path / "teacher.pth", [])
    assert {name: cfg.MODEL.DEVICE for name, cfg in cfgs.items()} == dict.fromkeys(
        ["baseline", "distilled", "teacher"], "cuda"
    )
    widths = {name: cfg.MODEL.FPN.OUT_CHANNELS for name, cfg in cfgs.items()}
    assert widths["baseline"] == widths["distilled"] == 24 != widths["teacher"]
