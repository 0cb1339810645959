"""train_net.py in two processes: one is killed, the run is resumed, and the student evaluated."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny import same_tensors, student_cfg
from torch.distributed.elastic.utils.distributed import get_free_port

import train_net
from tadistill.data import register_coco
from tadistill.engine import evaluate_student

ROOT = Path(train_net.__file__).parent
SCRIPT = ROOT / "train_net.py"
MORTAL_SCRIPT = Path(__file__).with_name("mortal_train_net.py")
RANKS = ("log.txt", "log.txt.rank1")


@pytest.fixture(scope="module")
def cfg(teacher_files):
    """A training of six iterations with a checkpoint after every second. BatchNorm's statistics are
    other ones in each process.
    """
    return student_cfg(
        teacher_files,
        *("DATASETS.TRAIN", ("tiny_train",), "DATASETS.TEST", ("tiny_val",)),
        *("SOLVER.MAX_ITER", 6, "SOLVER.CHECKPOINT_PERIOD", 2, "SOLVER.STEPS", ()),
        *("SOLVER.OPTIMIZER", "ADAMW", "SOLVER.BASE_LR", 0.002),
        *("TEST.DETECTIONS_PER_IMAGE", 100),
    )


@pytest.fixture(scope="module")
def arguments(cfg, coco_files, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "distilled.yaml"
    path.write_text(cfg.dump())
    data = [str(coco_files.annotations), str(coco_files.images)]
    registered = ["--register-coco", "tiny_train", *data, "--register-coco", "tiny_val", *data]
    return ["--config-file", str(path), *registered]


def run(command, output_dir):
    paths = [str(ROOT), str(ROOT / "projects/TADistill"), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, *command, "OUTPUT_DIR", str(output_dir)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )


def torchrun(script, *words):
    port = ["--master-addr", "127.0.0.1", "--master-port", str(get_free_port())]
    return ["-m", "torch.distributed.run", "--nproc-per-node", "2", *port, str(script), *words]


def names(directory, pattern):
    return sorted(path.name for path in directory.glob(pattern))


def weights(path):
    return torch.load(path)["model"]


def detections(directory):
    return (directory / "inference" / "coco_instances_results.json").read_text()


@pytest.fixture(scope="module")
def killed(arguments, tmp_path_factory):
    """A training by torchrun of which one process was killed."""
    directory = tmp_path_factory.mktemp("output") / "run"
    done = run(torchrun(MORTAL_SCRIPT, *arguments), directory)
    seconds = time.time() - float((directory / "stricken_at").read_text())
    left = {path.name: path.read_text() for path in directory.glob("*.txt*")}
    return directory, done, left, seconds


@pytest.fixture(scope="module")
def resumed(killed, arguments):
    """The same run, brought to its end by Detectron2's arguments."""
    directory, *_ = killed
    processes = ["--num-gpus", "2", "--dist-url", "auto"]
    done = run([str(SCRIPT), *processes, "--resume", *arguments], directory)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def test_a_process_that_dies_ends_the_job(killed):
    directory, done, logs, seconds = killed
    assert done.returncode != 0
    assert "Signal 9 (SIGKILL)" in done.stderr
    assert seconds < 60  # where one process would wait for another half an hour
    assert names(directory, "*.pth") == ["model_0000001.pth"]
    for rank, name in enumerate(RANKS):
        assert f"Rank of current process: {rank}. World size: 2" in logs[name]


def test_the_run_goes_on_where_it_was_saved_last(resumed):
    assert "Starting training from iteration 2" in (resumed / "log.txt").read_text()
    lines = (resumed / "metrics.json").read_text().splitlines()
    decay = {r["iteration"]: r["tad/decay"] for r in map(json.loads, lines) if "tad/decay" in r}
    assert decay[5] == 0.0


def test_each_file_is_written_by_one_process_once(resumed):
    checkpoints = ["model_0000001.pth", "model_0000003.pth", "model_0000005.pth"]
    assert names(resumed, "*.pth") == [*checkpoints, "model_final.pth", "student_final.pth"]
    assert names(resumed, "*.yaml") == [
        "config.yaml",
        "config_before_resume_1.yaml",
        "student_final.yaml",
    ]
    assert names(resumed, "log.txt*") == list(RANKS)
    assert names(resumed / "inference", "*") == [
        "coco_instances_results.json",
        "instances_predictions.pth",
    ]
    main, other = ((resumed / name).read_text() for name in RANKS)
    for line, times in {
        "Saving checkpoint to": 4,  # the first of them before the kill
        "The student alone, for stock Detectron2": 1,
        "Evaluation results for bbox": 1,
    }.items():
        assert (main.count(line), other.count(line)) == (times, 0), line
    final = weights(resumed / "model_final.pth")
    student = weights(resumed / "student_final.pth")
    assert same_tensors(student, {k: v for k, v in final.items() if "adapters" not in k})


@pytest.mark.usefixtures("registered_datasets")
def test_the_evaluation_is_that_of_one_process(resumed, cfg, arguments, coco_files, tmp_path):
    student = str(resumed / "student_final.pth")
    opts = ["--eval-only", "MODEL.WEIGHTS", student]
    done = run([*torchrun(SCRIPT), *arguments, *opts], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    two, one = tmp_path / "eval", tmp_path / "one"
    assert "World size: 2" in (two / "log.txt").read_text()

    register_coco([("tiny_val", str(coco_files.annotations), str(coco_files.images))])
    one.mkdir()
    cfg = cfg.clone()
    cfg.MODEL.WEIGHTS, cfg.OUTPUT_DIR = student, str(one)
    evaluate_student(cfg, str(one))
    assert len(json.loads(detections(one))) > 100
    assert detections(two) == detections(one)
    scores = (one / "results.json").read_text()
    assert (two / "results.json").read_text() == scores
    assert json.loads(scores)["bbox"]["AP"] >= 0
    # And in the training, whose two processes had other statistics.
    assert detections(resumed) == detections(one)
