"""train_net.py from end to end, on a handful of images."""

import json
import logging
import os
import re
import resource
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils.logger import setup_logger
from tiny import plain_cfg, same_tensors, student_cfg

import train_net
from tadistill.engine import argument_parser
from tadistill.errors import ConfigError

SCRIPT = Path(train_net.__file__)
ITERATIONS = 6
LOGGERS = ("detectron2", "fvcore", "tadistill")


@pytest.fixture(scope="module")
def config_file(teacher_files, tmp_path_factory):
    cfg = student_cfg(
        teacher_files,
        *("DATASETS.TRAIN", ("tiny_train",), "DATASETS.TEST", ("tiny_val",)),
        *("SOLVER.MAX_ITER", ITERATIONS, "SOLVER.CHECKPOINT_PERIOD", 3, "SOLVER.STEPS", ()),
        *("SOLVER.OPTIMIZER", "ADAMW", "SOLVER.BASE_LR", 0.01, "TEST.DETECTIONS_PER_IMAGE", 50),
        *("MODEL.TADISTILL.FEATURE.GATE", "instance"),
    )
    path = tmp_path_factory.mktemp("config") / "distilled.yaml"
    path.write_text(cfg.dump())
    return path


@pytest.fixture(scope="module")
def arguments(config_file, coco_files):
    data = [str(coco_files.annotations), str(coco_files.images)]
    registered = ["--register-coco", "tiny_train", *data, "--register-coco", "tiny_val", *data]
    return ["--config-file", str(config_file), *registered]


def run(arguments, output_dir, *more):
    """``main`` in this process, which forgets the datasets and the log files afterwards."""
    args = argument_parser().parse_args([*arguments, *more, "OUTPUT_DIR", str(output_dir)])
    datasets = set(DatasetCatalog.list())
    handlers = {name: logging.getLogger(name).handlers[:] for name in LOGGERS}
    try:
        return train_net.main(args)
    finally:
        for name in set(DatasetCatalog.list()) - datasets:
            DatasetCatalog.remove(name)
            MetadataCatalog.remove(name)
        for name in LOGGERS:
            logging.getLogger(name).handlers[:] = handlers[name]
        setup_logger.cache_clear()


@pytest.fixture(scope="module")
def run_dir(arguments, tmp_path_factory):
    """What a distilled training leaves behind."""
    directory = tmp_path_factory.mktemp("output") / "run"
    run(arguments, directory)
    return directory


def weights(path):
    return torch.load(path)["model"]


def metrics(run_dir):
    """Each scalar's values, by iteration."""
    series = {}
    for line in (run_dir / "metrics.json").read_text().splitlines():
        record = json.loads(line)
        for name, value in record.items():
            series.setdefault(name, {})[record["iteration"]] = value
    return series


def detections(directory):
    return (directory / "inference" / "coco_instances_results.json").read_text()


class TestATraining:
    def test_leaves_a_complete_run_directory(self, run_dir):
        names = {path.name for path in run_dir.iterdir()}
        assert {
            "config.yaml",
            "log.txt",
            "metrics.json",
            "model_0000002.pth",
            "model_final.pth",
            "last_checkpoint",
            "student_final.pth",
            "student_final.yaml",
        } <= names
        assert any(name.startswith("events.out.tfevents") for name in names)
        assert (run_dir / "inference" / "coco_instances_results.json").is_file()

    def test_keeps_the_whole_config(self, run_dir, config_file):
        kept = yaml.safe_load((run_dir / "config.yaml").read_text())
        given = yaml.safe_load(config_file.read_text())
        assert kept == {**given, "OUTPUT_DIR": str(run_dir)}

    def test_writes_losses_decay_and_gates_to_the_metrics(self, run_dir):
        series = metrics(run_dir)
        last = ITERATIONS - 1
        assert series["tad/decay"] == {last: 0.0}
        for gate in ("logit", "box", "feature"):
            # At w = 0, the last iteration, the teacher is not asked.
            (iteration, share), *others = series[f"tad/gate_{gate}"].items()
            assert (iteration, others) == (last - 1, [])
            assert 0 <= share <= 1
        for name in ("feature", "logit", "box"):
            assert last in series[f"loss_tad_{name}"]
        assert series["total_loss"][last] > 0
        assert "bbox/AP" in series

    def test_prints_ap_and_says_where_the_teacher_and_the_student_are(self, run_dir, teacher_files):
        log = (run_dir / "log.txt").read_text()
        assert "Evaluation results for bbox" in log
        assert re.search(r"copypaste: [0-9.]+,", log)
        assert f"tensors of the model come from {teacher_files.weights}" in log
        assert f"The student alone, for stock Detectron2: {run_dir}/student_final.pth" in log
        assert "Nothing sets the weight" not in log

    def test_says_once_what_is_in_the_data_sets_and_whose_classes_are_known(self, run_dir):
        log = (run_dir / "log.txt").read_text()
        assert len(re.findall(r"INFO: DATASETS\.TRAIN: tiny_train \(.*\): 6 images, ", log)) == 1
        assert len(re.findall(r"INFO: DATASETS\.TEST: tiny_val \(.*\): 6 images, ", log)) == 1
        assert log.count("the names of the teacher's classes are not known") == 1
        assert log.index("DATASETS.TRAIN: tiny_train") < log.index("Starting training")

    def test_exports_the_student_of_the_last_checkpoint(self, run_dir):
        final, student = (
            weights(run_dir / "model_final.pth"),
            weights(run_dir / "student_final.pth"),
        )
        assert {name for name in final if name not in student} == {
            name for name in final if name.startswith("adapters.")
        }
        assert all(torch.equal(final[name], tensor) for name, tensor in student.items())
        assert "TADISTILL" not in (run_dir / "student_final.yaml").read_text().upper().replace(
            str(run_dir).upper(), ""
        )

    def test_is_not_written_over(self, run_dir, arguments):
        before = {path: path.stat().st_mtime_ns for path in run_dir.iterdir()}
        with pytest.raises(ConfigError) as error:
            run(arguments, run_dir)
        assert f"OUTPUT_DIR {run_dir} holds a run already" in str(error.value)
        assert "--resume" in str(error.value)
        assert {path: path.stat().st_mtime_ns for path in run_dir.iterdir()} == before


def test_a_resumed_training_goes_on_where_the_other_stopped(run_dir, arguments, tmp_path):
    interrupted = tmp_path / "interrupted"
    interrupted.mkdir()
    checkpoint = (run_dir / "model_0000002.pth").read_bytes()
    (interrupted / "model_0000002.pth").write_bytes(checkpoint)
    (interrupted / "last_checkpoint").write_text("model_0000002.pth")
    (interrupted / "config.yaml").write_text("the config it was begun with")
    run(arguments, interrupted, "--resume")

    whole, resumed = metrics(run_dir), metrics(interrupted)
    assert "Starting training from iteration 3" in (interrupted / "log.txt").read_text()
    assert resumed["tad/decay"] == whole["tad/decay"]
    assert resumed["lr"] == whole["lr"]
    kept = interrupted / "config_before_resume_1.yaml"
    assert kept.read_text() == "the config it was begun with"

    end = [weights(d / "student_final.pth") for d in (run_dir, interrupted)]
    assert same_tensors(*end)


def test_a_disk_that_is_full_costs_nothing_that_was_written(run_dir, arguments, tmp_path):
    interrupted = tmp_path / "interrupted"
    interrupted.mkdir()
    checkpoint = interrupted / "model_0000002.pth"
    shutil.copy(run_dir / checkpoint.name, checkpoint)
    limit = checkpoint.stat().st_size // 2  # for any file

    result = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments, "--resume", "OUTPUT_DIR", str(interrupted)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode != 0
    assert f"{interrupted}/model_0000005.pth cannot be written" in result.stderr
    assert [path.name for path in interrupted.glob("*.p*")] == [checkpoint.name]

    run(arguments, interrupted, "--resume")
    end = [weights(d / "student_final.pth") for d in (run_dir, interrupted)]
    assert same_tensors(*end)


class TestAnEvaluation:
    @pytest.fixture(scope="class")
    def trained(self, run_dir):
        return detections(run_dir)

    @pytest.mark.parametrize("file", ["model_final.pth", "student_final.pth"])
    def test_of_any_file_of_the_student_gives_the_same_and_builds_no_teacher(
        self, run_dir, trained, arguments, tmp_path, file
    ):
        teacherless = ["MODEL.TADISTILL.TEACHER.CONFIG_FILE", "nowhere.yaml"]
        opts = ["MODEL.WEIGHTS", str(run_dir / file), *teacherless]
        results = run(arguments, tmp_path, "--eval-only", *opts)
        assert detections(tmp_path / "eval") == trained
        assert len(json.loads(trained)) > 10
        [ap] = metrics(run_dir)["bbox/AP"].values()
        # After so few iterations rounding decides whether any box is good enough for an AP above 0.
        assert results["bbox"]["AP"] == ap >= 0

    def test_leaves_the_run_as_it_was(self, run_dir, trained, arguments):
        before = {p: p.read_bytes() for p in run_dir.iterdir() if p.is_file()}
        run(arguments, run_dir, "--eval-only", "--resume")
        assert detections(run_dir / "eval") == trained
        assert {p: p.read_bytes() for p in run_dir.iterdir() if p.is_file()} == before

    def test_a_second_time_has_a_folder_of_its_own(self, run_dir, trained, arguments, tmp_path):
        opts = ["MODEL.WEIGHTS", str(run_dir / "student_final.pth")]
        run(arguments, tmp_path, "--eval-only", *opts)
        first = {p: p.read_bytes() for p in (tmp_path / "eval").rglob("*") if p.is_file()}
        assert tmp_path / "eval" / "results.json" in first
        run(arguments, tmp_path, "--eval-only", *opts)
        assert {p: p.read_bytes() for p in (tmp_path / "eval").rglob("*") if p.is_file()} == first
        assert detections(tmp_path / "eval_2") == trained
        assert {path.name for path in tmp_path.iterdir()} == {"eval", "eval_2"}

    def test_into_a_file_is_refused(self, arguments, tmp_path):
        path = tmp_path / "file"
        path.write_text("")
        with pytest.raises(ConfigError, match=f"OUTPUT_DIR {path} cannot be written to"):
            run(arguments, path, "--eval-only")

    def test_without_weights_names_the_key(self, arguments, tmp_path):
        with pytest.raises(ConfigError, match=r"MODEL\.WEIGHTS is empty"):
            run(arguments, tmp_path, "--eval-only")

    def test_of_the_teacher_prints_its_ap(self, arguments, tmp_path, teacher_files):
        results = run(arguments, tmp_path, "--eval-teacher")
        log = (tmp_path / "eval_teacher" / "log.txt").read_text()
        assert "DATASETS.TEST: tiny_val (" in log
        assert "the names of the teacher's classes are not known" in log
        assert "Evaluation results for bbox" in log
        assert re.search(r"copypaste: [0-9.]+,", log)
        assert str(teacher_files.weights) in log
        written = json.loads((tmp_path / "eval_teacher" / "results.json").read_text())
        assert written["bbox"]["AP"] == results["bbox"]["AP"]


def test_a_teacher_is_trained_by_the_same_script_and_then_teaches(arguments, tmp_path, config_file):
    teacher_file, student_file = tmp_path / "teacher.yaml", tmp_path / "student.yaml"
    teacher = plain_cfg("DATASETS.TRAIN", ("tiny_train",), "DATASETS.TEST", ())
    teacher.SOLVER.MAX_ITER = 2
    teacher_file.write_text(teacher.dump())
    run([*arguments, "--config-file", str(teacher_file)], tmp_path / "teacher")

    student_file.write_text(f'_BASE_: "{config_file}"\nSOLVER: {{MAX_ITER: 2}}\n')
    key = "MODEL.TADISTILL.TEACHER"
    opts = [f"{key}.CONFIG_FILE", str(tmp_path / "teacher/config.yaml")]
    opts += [f"{key}.WEIGHTS", str(tmp_path / "teacher/model_final.pth"), "DATASETS.TEST", "()"]
    opts += ["MODEL.TADISTILL.DECAY.SCHEDULE", "constant"]
    run([*arguments, "--config-file", str(student_file)], tmp_path / "student", *opts)
    assert metrics(tmp_path / "student")["loss_tad_logit"][1] > 0
    assert "adapters.p2.weight" in weights(tmp_path / "student/model_final.pth")


def as_script(monkeypatch, *arguments):
    """What ``python train_net.py …`` ends with."""
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    return str(end.value)


@pytest.mark.usefixtures("registered_datasets")
class TestAMistakeIsOneLine:
    @pytest.mark.parametrize(
        ("opts", "words"),
        [
            (["DATASETS.TRAIN", "('nobodys',)"], ["DATASETS.TRAIN", "'nobodys'"]),
            (["MODEL.ROI_HEADS.NUM_CLASSES", "7"], ["MODEL.ROI_HEADS.NUM_CLASSES is 7", "3"]),
            (["SOLVER.AMP.ENABLED", "True"], ["SOLVER.AMP.ENABLED is True"]),
            (["SOLVER.OPTIMIZER", "LION"], ["SOLVER.OPTIMIZER is 'LION'"]),
            (["MODEL.TADISTILL.DECAY.SCHEDULE", "slow"], ["DECAY.SCHEDULE is 'slow'"]),
            (["MODEL.TADISTILL.LOGIT.LOSS", "mse"], ["LOGIT.LOSS is 'mse'"]),
            (["MODEL.TADISTILL.TEACHER.WEIGHTS", "no.pth"], ["TEACHER.WEIGHTS", "no.pth"]),
            (["MODEL.TADISTILL.TEACHER.CONFIG_FILE", "no.yaml"], ["CONFIG_FILE is 'no.yaml'"]),
        ],
    )
    def test_in_the_config(self, arguments, tmp_path, monkeypatch, opts, words):
        text = as_script(monkeypatch, *arguments, *opts, "OUTPUT_DIR", tmp_path / "run")
        assert text.startswith("error: ")
        for word in words:
            assert word in text
        assert not list((tmp_path / "run").glob("*.pth"))

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (None, ["there is no file"]),
            ("MODEL: [", ["is not a config of Detectron2"]),
            ("MODEL: {TADISTIL: {}}", ["is not a config of Detectron2", "MODEL.TADISTIL"]),
        ],
    )
    def test_in_the_config_file(self, tmp_path, monkeypatch, content, words):
        path = tmp_path / "mine.yaml"
        if content is not None:
            path.write_text(content)
        text = as_script(monkeypatch, "--config-file", path)
        assert text.startswith("error: --config-file: ")
        for word in [str(path), *words]:
            assert word in text

    @pytest.mark.parametrize(
        ("opts", "word"),
        [
            (["MODEL.NO_SUCH_KEY", "1"], "NO_SUCH_KEY"),
            (["SOLVER.MAX_ITER", "many"], "SOLVER.MAX_ITER"),
            (["SOLVER.MAX_ITER"], "SOLVER.MAX_ITER"),
        ],
    )
    def test_in_the_overrides(self, arguments, monkeypatch, opts, word):
        text = as_script(monkeypatch, *arguments, *opts)
        assert text.startswith(f"error: the end of the command line is {opts!r}")
        assert word in text

    def test_in_the_number_of_gpus(self, arguments, tmp_path, monkeypatch):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
        opts = ["MODEL.DEVICE", "cuda", "OUTPUT_DIR", tmp_path / "run"]
        text = as_script(monkeypatch, "--num-gpus", "2", *arguments, *opts)
        assert text.startswith("error: --num-gpus is 2, but torch sees 0 GPUs")
        assert not (tmp_path / "run").exists()

    def test_in_the_device(self, arguments, tmp_path, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        opts = ["MODEL.DEVICE", "cuda", "OUTPUT_DIR", tmp_path]
        assert as_script(monkeypatch, *arguments, *opts).startswith("error: MODEL.DEVICE is 'cuda'")

    def test_in_the_data(self, config_file, tmp_path, monkeypatch):
        data = ["--register-coco", "mine", tmp_path / "no.json", tmp_path]
        text = as_script(monkeypatch, "--config-file", config_file, *data)
        assert text.startswith("error: --register-coco mine")
        assert f"there is no file {tmp_path}/no.json" in text


def test_the_script_runs_from_another_folder(arguments, tmp_path):
    opts = ["SOLVER.MAX_ITER", "1", "DATASETS.TEST", "()", "OUTPUT_DIR", "run"]
    package = SCRIPT.parent / "projects" / "TADistill"
    paths = [str(package), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments, *opts],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "run" / "student_final.pth").is_file()
