"""The tool from end to end: with what stands in for train_net.py, and once with train_net.py."""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import ablate
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from rich.console import Console
from trainings import Run, process, schedule
from trainings.process import lock_of

from tadistill.errors import ConfigError

FAKE = Path(__file__).with_name("fake_train_net.py")
TOOL = Path(ablate.__file__)


@pytest.fixture
def arguments(grid_file, coco_files, tmp_path):
    data = (str(coco_files.annotations), str(coco_files.images))
    registered = [word for name in ("tiny_train", "tiny_val") for word in ("--register-coco", name)]
    registered[2:2], registered[6:] = data, data
    places = ["--output", str(tmp_path / "out"), "--records", str(tmp_path / "rec")]
    return ["--grid", str(grid_file), *registered, *places]


@pytest.fixture
def ablation(arguments, monkeypatch):
    """Runs the tool in this process. Returns its exit status and what it said."""
    monkeypatch.setattr(process, "TRAIN_NET", FAKE)

    def run(*more):
        before = set(DatasetCatalog.list())
        console = Console(record=True, width=300, file=open(os.devnull, "w"))  # noqa: SIM115
        try:
            status = ablate.main(ablate.parse_arguments([*arguments, *more]), console)
        finally:
            for name in set(DatasetCatalog.list()) - before:
                DatasetCatalog.remove(name)
                MetadataCatalog.remove(name)
        return status, console.export_text()

    return run


def calls(tmp_path):
    """By run, what train_net.py was called for."""
    logs = {path.parent.name: path.read_text() for path in (tmp_path / "out").rglob("console.log")}
    return {
        name: [line.split()[1:] for line in log.splitlines() if line.startswith("called")]
        for name, log in logs.items()
    }


def records(tmp_path):
    return {
        str(path.relative_to(tmp_path / "rec")): json.loads(path.read_text())
        for path in (tmp_path / "rec").rglob("*.json")
    }


def test_every_run_is_recorded_and_none_is_made_twice(ablation, tmp_path):
    assert ablation("--seeds", "0", "1", "--budgets", "short")[0] == 0
    recorded = records(tmp_path)
    assert {name: record["scores"]["AP"] for name, record in recorded.items()} == {
        "teacher.json": 50.0,
        **{
            f"short/{row}_seed{seed}.json": 30.0 + seed
            for row in ("all", "baseline")
            for seed in (0, 1)
        },
    }
    assert recorded["short/all_seed0.json"]["title"] == "all terms"
    assert recorded["short/all_seed0.json"]["machine"]["threads"] == 1

    status, said = ablation("--seeds", "0", "1", "--budgets", "short")
    assert status == 0
    assert "5 runs, of which 0 are to be made" in said
    assert all(of_run == [[]] for of_run in calls(tmp_path).values())


def test_a_second_seed_is_added_to_the_first(ablation, tmp_path):
    assert ablation("--seeds", "0", "--rows", "all", "--budgets", "short")[0] == 0
    assert ablation("--seeds", "0", "1", "--rows", "all", "--budgets", "short")[0] == 0
    assert calls(tmp_path) == {"all_seed0": [[]], "all_seed1": [[]]}


def test_checkpoints_go_once_a_run_is_recorded(ablation, tmp_path):
    ablation("--rows", "all", "--budgets", "short")
    assert not list((tmp_path / "out").rglob("model_*.pth"))


def test_a_record_that_is_lost_is_made_again_from_the_folder(ablation, tmp_path):
    ablation("--rows", "all", "--budgets", "short")
    (record,) = (tmp_path / "rec").rglob("*.json")
    before = json.loads(record.read_text())
    record.unlink()
    assert ablation("--rows", "all", "--budgets", "short")[0] == 0
    assert json.loads(record.read_text()) == before
    assert calls(tmp_path) == {"all_seed0": [[]]}


def test_a_run_that_another_process_has_just_finished_is_left_to_it_to_record(ablation, tmp_path):
    ablation("--rows", "all", "--budgets", "short")
    (record,) = (tmp_path / "rec").rglob("*.json")
    record.unlink()
    lock = lock_of(Run("", tmp_path / "out/short/all_seed0", "", []))
    status, _ = ablation("--rows", "all", "--budgets", "short")
    assert (status, record.exists()) == (ablate.UNFINISHED, False)
    os.close(lock)
    assert ablation("--rows", "all", "--budgets", "short")[0] == 0
    assert record.exists()


def test_no_time_at_all_runs_nothing(ablation, tmp_path):
    status, _ = ablation("--rows", "all", "--budgets", "short", "--stop-after", "0")
    assert status == ablate.UNFINISHED
    assert calls(tmp_path) == {}


def test_a_folder_of_records_may_have_a_name_of_two_words(ablation, arguments, tmp_path):
    ablation("--rows", "all", "--budgets", "short")
    (tmp_path / "rec").rename(tmp_path / "my records")
    arguments[-1] = str(tmp_path / "my records")
    assert ablation("--report")[0] == 0
    assert "`all` all terms" in (tmp_path / "my records/report.md").read_text()


def test_a_disk_that_is_full_leaves_no_run_at_work(ablation, tmp_path, monkeypatch):
    """``run.json`` is written on the way to the end, too."""

    def full(self, **values):
        raise OSError(28, "No space left on device")

    started = []

    class Popen(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            if self.args[0] == sys.executable:
                started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    monkeypatch.setattr(Run, "note", full)
    monkeypatch.setattr(process, "SECONDS_BETWEEN_NOTES", 0.2)
    monkeypatch.setenv("FAKE_SECONDS", "30")
    with pytest.raises(OSError, match="No space left"):
        ablation("--rows", "all", "baseline", "--budgets", "short", "--jobs", "2")
    assert len(started) == 2
    assert all(each.returncode is not None for each in started)


def test_time_that_is_up_stops_and_the_next_call_resumes(ablation, tmp_path, monkeypatch):
    class Clock:
        """The time is up when there is a checkpoint."""

        sleep = time.sleep

        @staticmethod
        def monotonic():
            checkpoint = tmp_path / "out/short/all_seed0/model_0000000.pth"
            return math.inf if checkpoint.exists() else 0.0

    monkeypatch.setenv("FAKE_SECONDS", "1000")
    choice = ("--rows", "all", "--budgets", "short", "--jobs", "1")
    with monkeypatch.context() as patch:
        patch.setattr(schedule, "time", Clock)
        status, said = ablation(*choice, "--stop-after", "1")
    assert status == ablate.UNFINISHED
    assert "Missing, 1 of 1" in said
    assert "all, short, seed 0" in said
    assert records(tmp_path) == {}

    monkeypatch.setenv("FAKE_SECONDS", "0")
    assert ablation(*choice)[0] == 0
    assert calls(tmp_path) == {"all_seed0": [[], ["resumed"]]}
    (record,) = records(tmp_path).values()
    assert record["parts"] == 2
    assert record["scores"]["AP"] == 30.0


def test_a_run_that_fails_does_not_stop_the_others(ablation, tmp_path, grid_file):
    text = grid_file.read_text()
    grid_file.write_text(text.replace("all: {", "all: {MODEL.TADISTILL.FEATURE.SIGMA: 3, "))
    status, said = ablation("--budgets", "short")
    assert status == 1
    assert "error: sigma" in said
    assert "error: all, short, seed 0 failed; see" in said
    assert sorted(records(tmp_path)) == ["short/baseline_seed0.json", "teacher.json"]


class TestAChangedConfig:
    @pytest.fixture
    def change(self, ablation, grid_file):
        ablation("--budgets", "short")
        grid_file.write_text(grid_file.read_text().replace("BOX.WEIGHT: 2", "BOX.WEIGHT: 3"))

    def test_is_refused_and_nothing_is_written_over(self, change, ablation, tmp_path):
        before = records(tmp_path)
        with pytest.raises(ConfigError) as error:
            ablation("--budgets", "short")
        assert "all, short, seed 0" in str(error.value)
        assert "MODEL.TADISTILL.BOX.WEIGHT was 2.0 and is 3.0" in str(error.value)
        assert "baseline" not in str(error.value)  # which has no box term
        assert records(tmp_path) == before

    def test_is_refused_of_a_run_that_was_begun(self, change, ablation, tmp_path):
        (tmp_path / "rec/short/all_seed0.json").unlink()
        with pytest.raises(ConfigError, match=r"BOX\.WEIGHT was 2\.0 and is 3\.0"):
            ablation("--budgets", "short")

    def test_is_run_again_when_asked_for(self, change, ablation, tmp_path):
        assert ablation("--budgets", "short", "--rerun", "all", "baseline")[0] == 0
        record = records(tmp_path)["short/all_seed0.json"]
        assert record["depends_on"]["MODEL.TADISTILL.BOX.WEIGHT"] == 3.0
        # Of what is as it was nothing is thrown away, so that the command can be repeated.
        written = {path: path.stat().st_mtime_ns for path in (tmp_path / "rec").rglob("*.json")}
        assert ablation("--budgets", "short", "--rerun", "all", "baseline")[0] == 0
        assert written == {path: path.stat().st_mtime_ns for path in written}

    def test_is_not_mistaken_for_a_row_of_another_name(self, change, ablation):
        with pytest.raises(ConfigError, match="--rerun al: the rows to be run are all, baseline"):
            ablation("--budgets", "short", "--rerun", "al")

    def test_is_not_thrown_away_while_another_process_is_at_it(self, change, ablation, tmp_path):
        lock = lock_of(Run("", tmp_path / "out/short/all_seed0", "", []))
        with pytest.raises(ConfigError, match="--rerun all: another process is at"):
            ablation("--budgets", "short", "--rerun", "all")
        os.close(lock)
        assert "short/all_seed0.json" in records(tmp_path)

    def test_of_a_key_that_is_neutral_is_none(self, ablation, grid_file, tmp_path):
        ablation("--budgets", "short", "--rows", "all")
        (path,) = (tmp_path / "rec").rglob("*.json")
        record = json.loads(path.read_text())
        del record["depends_on"]["MODEL.TADISTILL.LOGIT.LOSS"]
        path.write_text(json.dumps(record))
        with pytest.raises(ConfigError, match=r"LOGIT\.LOSS was nothing and is kl"):
            ablation("--budgets", "short", "--rows", "all")
        grid_file.write_text(grid_file.read_text() + "neutral: [MODEL.TADISTILL.LOGIT.LOSS]\n")
        assert ablation("--budgets", "short", "--rows", "all")[0] == 0


def test_what_another_process_is_at_is_left_to_it(ablation, tmp_path):
    lock = lock_of(Run("", tmp_path / "out/short/all_seed0", "", []))
    assert lock_of(Run("", tmp_path / "out/short/all_seed0", "", [])) is None
    status, said = ablation("--budgets", "short")
    os.close(lock)
    assert status == ablate.UNFINISHED
    assert "Missing, 1 of 3" in said
    assert "all_seed0" not in calls(tmp_path)
    assert ablation("--budgets", "short")[0] == 0


def start(arguments, *more, fake_seconds):
    """The tool as a process of its own, with what stands in for train_net.py."""
    program = f"""
import runpy, sys
sys.path.insert(0, {str(TOOL.parent)!r})
from trainings import process
process.TRAIN_NET = {str(FAKE)!r}
sys.argv[1:] = {[*arguments, *more]!r}
runpy.run_path({str(TOOL)!r}, run_name="__main__")
"""
    environment = {**os.environ, "FAKE_SECONDS": str(fake_seconds)}
    return subprocess.Popen([sys.executable, "-c", program], env=environment)


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_signal_ends_the_runs_too(arguments, tmp_path):
    choice = ("--rows", "all", "--budgets", "short", "--jobs", "1")
    tool = start(arguments, *choice, fake_seconds=1)
    checkpoint = tmp_path / "out/short/all_seed0/model_0000000.pth"
    wait_for(checkpoint.exists)
    tool.terminate()
    assert tool.wait(timeout=process.PATIENCE) == ablate.UNFINISHED
    lock = lock_of(Run("", checkpoint.parent, "", []))  # which the run had too
    assert lock is not None
    os.close(lock)


def test_a_run_outlives_the_tool_that_is_killed_and_keeps_its_lock(arguments, ablation, tmp_path):
    choice = ("--rows", "all", "--budgets", "short", "--jobs", "1")
    tool = start(arguments, *choice, fake_seconds=3)
    directory = tmp_path / "out/short/all_seed0"
    wait_for((directory / "model_0000000.pth").exists)
    tool.kill()
    tool.wait()
    assert lock_of(Run("", directory, "", [])) is None
    assert ablation(*choice)[0] == ablate.UNFINISHED  # and does not start a second one
    assert calls(tmp_path) == {"all_seed0": [[]]}


def test_with_train_net(arguments, tmp_path):
    command = [sys.executable, str(TOOL), *arguments, "--budgets", "short", "--rows", "all"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    recorded = records(tmp_path)
    record = recorded["short/all_seed0.json"]
    assert record["AP_curve"]["iteration"] == [2, 4]
    assert {"total_loss", "loss_tad_box"} <= set(record["losses"])
    assert record["gates"]["decay"] == [0.0]
    assert record["peak_rss_mib"] > 100
    assert str(tmp_path) not in json.dumps(record)

    assert ablate.main(ablate.parse_arguments([*arguments, "--report"]), Console()) == 0
    assert "| `all` all terms | 1 |" in (tmp_path / "rec/report.md").read_text()
