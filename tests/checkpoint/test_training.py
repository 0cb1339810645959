"""The checkpoints of a training: whole or not there, and the newest whole one is resumed from."""

import os
import pickle
import shutil
from collections import deque
from pathlib import Path

import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer
from tiny import same_tensors
from torch import nn

from tadistill.checkpoint import TrainingCheckpointer, UnsafeFileError
from tadistill.errors import ConfigError


class Counter:
    """Something else that is kept in a checkpoint."""

    def __init__(self, value):
        self.value = value

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]


def model(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def save(directory, iteration, kind=TrainingCheckpointer):
    """A checkpoint whose contents tell its iteration, and the time at which it was written."""
    kind(model(iteration), str(directory), counter=Counter(iteration)).save(
        f"model_{iteration:07d}", iteration=iteration
    )
    path = directory / f"model_{iteration:07d}.pth"
    os.utime(path, (iteration, iteration))
    return path


def resume(directory):
    """The iteration that is resumed from."""
    counter, resumed = Counter(None), model(99)
    checkpointer = TrainingCheckpointer(resumed, str(directory), counter=counter)
    rest = checkpointer.resume_or_load("", resume=True)
    if not rest:
        return None
    assert rest["iteration"] == counter.value
    assert same_tensors(resumed.state_dict(), model(counter.value).state_dict())
    return counter.value


def cut_short(path: Path, share=0.6):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def test_the_file_is_that_of_the_stock_checkpointer(tmp_path):
    files = []
    for name, kind in (("ours", TrainingCheckpointer), ("stock", DetectionCheckpointer)):
        (tmp_path / name).mkdir()
        files.append(torch.load(save(tmp_path / name, 3, kind)))
        assert (tmp_path / name / "last_checkpoint").read_text() == "model_0000003.pth"
    assert list(files[0]) == list(files[1]) == ["model", "counter", "iteration"]
    assert same_tensors(files[0]["model"], files[1]["model"])
    assert files[0]["counter"] == files[1]["counter"]


def test_a_checkpointer_that_does_not_save_to_disk_does_not(tmp_path):
    TrainingCheckpointer(model(0), str(tmp_path), save_to_disk=False).save("model_0000001")
    assert list(tmp_path.iterdir()) == []


def test_the_named_checkpoint_is_resumed_from(tmp_path):
    for iteration in (1, 2, 3):
        save(tmp_path, iteration)
    assert resume(tmp_path) == 3
    (tmp_path / "last_checkpoint").write_text("model_0000002.pth")
    assert resume(tmp_path) == 2


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_checkpoint_cut_short_is_passed_over_with_a_warning(tmp_path, tadistill_log, share):
    for iteration in (1, 2, 10):
        save(tmp_path, iteration)
    cut_short(tmp_path / "model_0000010.pth", share)
    assert resume(tmp_path) == 2
    assert f"{tmp_path}/model_0000010.pth is not whole" in tadistill_log.text


def test_a_checkpoint_with_a_flipped_bit_is_passed_over(tmp_path, tadistill_log):
    save(tmp_path, 1)
    path = save(tmp_path, 2)
    content = bytearray(path.read_bytes())
    weight = model(2)[0].weight.detach().numpy().tobytes()
    content[content.index(weight) + 5] ^= 1
    path.write_bytes(content)
    assert resume(tmp_path) == 1
    assert "model_0000002.pth is not whole: its part" in tadistill_log.text


def test_a_checkpoint_in_torchs_older_format_is_resumed_from(tmp_path):
    path = save(tmp_path, 3)
    torch.save(torch.load(path), path, _use_new_zipfile_serialization=False)
    assert resume(tmp_path) == 3


def test_a_checkpoint_that_would_run_code_is_an_error_and_not_passed_over(tmp_path):
    save(tmp_path, 1)
    path = save(tmp_path, 2)
    path.write_bytes(pickle.dumps({"model": os.system}, protocol=2))
    with pytest.raises(UnsafeFileError, match=f"{path} was refused"):
        resume(tmp_path)


def test_a_named_checkpoint_that_is_gone_is_passed_over(tmp_path, tadistill_log):
    save(tmp_path, 1)
    save(tmp_path, 2).unlink()
    assert resume(tmp_path) == 1
    assert "No such file" in tadistill_log.text


def test_the_newest_is_resumed_from_where_none_is_named(tmp_path):
    for iteration in (1, 3, 2):
        save(tmp_path, iteration)
    (tmp_path / "last_checkpoint").unlink()
    shutil.copy(tmp_path / "model_0000001.pth", tmp_path / "student_final.pth")
    assert resume(tmp_path) == 3


def test_without_any_checkpoint_a_training_begins(tmp_path):
    assert resume(tmp_path) is None
    assert resume(tmp_path / "not there yet") is None


def test_a_state_that_could_not_be_read_again_is_refused_before_the_training(tmp_path):
    TrainingCheckpointer(model(0), str(tmp_path), counter=Counter([1.5, "a"])).check_states()
    checkpointer = TrainingCheckpointer(model(0), str(tmp_path), counter=Counter(deque([1])))
    with pytest.raises(ConfigError, match=r"the state of counter asks for collections\.deque"):
        checkpointer.check_states()
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_saved_at_all_is_refused_likewise(tmp_path):
    checkpointer = TrainingCheckpointer(model(0), str(tmp_path), counter=Counter(lambda: 0))
    with pytest.raises(ConfigError, match="the state of counter cannot be saved"):
        checkpointer.check_states()


@pytest.mark.parametrize(
    ("path", "message"),
    [("detectorn2://R-50.pkl", "there is no file"), ("http://localhost:9/R-50.pkl", "be had")],
)
def test_weights_to_start_from_that_cannot_be_had_are_named(tmp_path, path, message):
    with pytest.raises(ConfigError, match=r"MODEL\.WEIGHTS: ") as error:
        TrainingCheckpointer(model(0), str(tmp_path)).resume_or_load(path, resume=True)
    assert path in str(error.value)
    assert message in str(error.value)


def test_no_whole_checkpoint_is_an_error_that_names_them(tmp_path):
    for iteration in (1, 2):
        cut_short(save(tmp_path, iteration))
    with pytest.raises(ConfigError) as error:
        resume(tmp_path)
    text = str(error.value)
    assert f"no checkpoint in OUTPUT_DIR {tmp_path} is whole" in text
    assert "model_0000002.pth, model_0000001.pth" in text


def test_a_checkpoint_that_cannot_be_written_leaves_the_others(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def full(data, file):
        file.write(b"half a checkpoint")
        raise RuntimeError("[enforce fail at inline_container.cc] . unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"model_0000002\.pth cannot be written"):
        save(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "last_checkpoint",
        "model_0000001.pth",
    ]
    assert resume(tmp_path) == 1
