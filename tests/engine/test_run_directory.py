"""One run a directory, and nothing of an earlier one lost."""

import errno
import subprocess
import sys

import pytest
from detectron2.config import get_cfg

from tadistill.engine import claim_run_directory, free_directory
from tadistill.errors import ConfigError


@pytest.fixture
def cfg(tmp_path):
    cfg = get_cfg()
    cfg.OUTPUT_DIR = str(tmp_path / "run [1]")  # brackets mean something to a glob
    return cfg


@pytest.fixture
def directory(cfg, tmp_path):
    path = tmp_path / "run [1]"
    path.mkdir()
    return path


@pytest.mark.parametrize("resume", [True, False])
def test_a_new_directory_is_free(cfg, resume):
    claim_run_directory(cfg, resume)


@pytest.mark.parametrize("resume", [True, False])
def test_files_that_are_of_no_run_do_not_matter(cfg, directory, resume):
    (directory / "notes.txt").write_text("mine")
    (directory / "eval").mkdir()
    claim_run_directory(cfg, resume)
    assert (directory / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("trace", ["metrics.json", "last_checkpoint", "model_0000004.pth"])
def test_a_run_is_not_written_over(cfg, directory, trace):
    (directory / trace).write_text("old")
    with pytest.raises(ConfigError) as error:
        claim_run_directory(cfg, resume=False)
    text = str(error.value)
    assert f"OUTPUT_DIR {directory}" in text
    assert trace in text
    can_go_on = trace == "model_0000004.pth"
    assert ("--resume" in text) is can_go_on
    assert (directory / trace).read_text() == "old"


def test_of_many_files_some_are_named(cfg, directory):
    for number in range(9):
        (directory / f"model_{number}.pth").write_text("weights")
    with pytest.raises(ConfigError, match=r"model_0\.pth, model_1\.pth, .*model_3\.pth, …\)"):
        claim_run_directory(cfg, resume=False)


def test_a_resumed_run_keeps_every_config_it_was_run_with(cfg, directory):
    (directory / "metrics.json").write_text("{}")
    for content in ("first", "second", "third"):
        (directory / "config.yaml").write_text(content)
        claim_run_directory(cfg, resume=True)
        # It may be the --config-file, which Detectron2 reads once more for the log.
        assert (directory / "config.yaml").read_text() == content
    kept = sorted(directory.glob("config_before_resume_*.yaml"))
    assert [path.read_text() for path in kept] == ["first", "second", "third"]


def test_a_config_that_was_written_by_hand_is_kept(cfg, directory):
    (directory / "config.yaml").write_text("# mine")
    claim_run_directory(cfg, resume=False)
    claim_run_directory(cfg, resume=False)  # after a start that failed
    kept = list(directory.glob("config_before_*"))
    assert [path.name for path in kept] == ["config_before_start_1.yaml"]
    assert kept[0].read_text() == "# mine"


class TestATrainingThatIsAtWork:
    OTHER = """
import sys
from detectron2.config import get_cfg
from tadistill.engine import claim_run_directory

cfg = get_cfg()
cfg.OUTPUT_DIR = sys.argv[1]
claim_run_directory(cfg, resume=False)
print("claimed", flush=True)
sys.stdin.read()
"""

    @pytest.fixture
    def other(self, directory):
        """Another process that has the folder, until its input ends."""
        command = [sys.executable, "-c", self.OTHER, str(directory)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, **pipes) as process:
            assert process.stdout.readline() == "claimed\n"
            yield process
            process.kill()

    @pytest.mark.parametrize("resume", [True, False])
    def test_keeps_the_folder_to_itself_until_it_ends(self, cfg, directory, other, resume):
        with pytest.raises(ConfigError) as error:
            claim_run_directory(cfg, resume)
        assert f"OUTPUT_DIR {directory} is that of a training that is at work" in str(error.value)
        other.kill()
        other.wait()
        claim_run_directory(cfg, resume)

    def test_may_claim_its_own_again(self, cfg):
        claim_run_directory(cfg, resume=False)
        claim_run_directory(cfg, resume=True)

    def test_on_a_disk_without_locks_goes_on(self, cfg, monkeypatch):
        def without_locks(*args):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr("fcntl.lockf", without_locks)
        [notice] = claim_run_directory(cfg, resume=False)
        assert notice.warns
        assert "is not locked" in notice.text

    def test_without_a_file_to_lock_goes_on(self, cfg, directory):
        (directory / "training.lock").mkdir()
        [notice] = claim_run_directory(cfg, resume=False)
        assert "is not locked" in notice.text


@pytest.mark.parametrize("resume", [True, False])
def test_only_the_main_process_looks_and_moves(cfg, directory, resume, monkeypatch):
    monkeypatch.setattr("detectron2.utils.comm.is_main_process", lambda: False)
    (directory / "metrics.json").write_text("{}")
    (directory / "config.yaml").write_text("of the main process")
    claim_run_directory(cfg, resume)
    assert (directory / "config.yaml").read_text() == "of the main process"


def test_the_empty_metrics_of_a_start_that_failed_do_not_block(cfg, directory):
    (directory / "metrics.json").touch()
    claim_run_directory(cfg, resume=False)
    (directory / "metrics.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"holds a run already \(metrics\.json\)"):
        claim_run_directory(cfg, resume=False)


def test_a_link_that_leads_nowhere_is_something_that_is_there(cfg, directory):
    (directory / "model_final.pth").symlink_to(directory / "gone.pth")
    with pytest.raises(ConfigError, match=r"holds a run already \(model_final\.pth\)"):
        claim_run_directory(cfg, resume=False)


def test_a_folder_without_a_checkpoint_of_a_training_is_not_resumed(cfg, directory):
    (directory / "student_final.pth").write_text("weights")
    (directory / "config.yaml").write_text("old")
    with pytest.raises(ConfigError) as error:
        claim_run_directory(cfg, resume=True)
    text = str(error.value)
    assert f"OUTPUT_DIR {directory} holds student_final.pth, but no checkpoint of a tr" in text
    assert (directory / "config.yaml").read_text() == "old"

    (directory / "model_0000004.pth").write_text("weights")
    claim_run_directory(cfg, resume=True)


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_metrics_file_that_ends_in_the_middle_of_a_line_goes_on_on_a_new_one(cfg, directory, end):
    (directory / "model_0000004.pth").write_text("weights")
    (directory / "metrics.json").write_text('{"a": 1}\n{"a"' + end)
    claim_run_directory(cfg, resume=True)
    assert (directory / "metrics.json").read_text() == '{"a": 1}\n{"a"\n'


def test_a_place_that_cannot_be_written_to_is_found_before_the_training(cfg, tmp_path):
    (tmp_path / "file").touch()
    cfg.OUTPUT_DIR = str(tmp_path / "file" / "run")
    with pytest.raises(ConfigError, match=f"OUTPUT_DIR {cfg.OUTPUT_DIR} cannot be written to"):
        claim_run_directory(cfg, resume=False)


def test_the_first_free_directory_is_the_path_or_is_numbered(tmp_path):
    path = tmp_path / "eval"
    for expected in (path, tmp_path / "eval_2", tmp_path / "eval_3"):
        assert free_directory(str(path)) == str(expected)
        assert not expected.exists()  # it is made by whoever writes there
        expected.mkdir()
