"""Weights files of every format: what is in them, and what is said of those that are none."""

import pickle
import sys
import tarfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from pickled import by_numpy, by_python2
from safetensors.torch import save_file
from tiny import same_tensors

from tadistill.checkpoint import UnreadableFileError, UnsafeFileError, read_checkpoint, torch_files
from tadistill.errors import ConfigError

SHIPPED_TEACHER = Path(__file__).parents[2] / "projects/TADistill/tools/demo/teacher.pth"
WEIGHTS = OrderedDict(
    weight=torch.arange(6.0).reshape(2, 3),
    half=torch.ones(2, dtype=torch.float16),
    bfloat=torch.ones(2, dtype=torch.bfloat16),
    counter=torch.tensor(3),
    empty=torch.zeros(0, 4),
)
ARRAYS = {"conv1_w": np.ones((2, 3), np.float32), "conv1_b": np.arange(2, dtype=np.float32)}


class OfOtherCode:
    """What another library may have in its own checkpoints."""

    def __init__(self):
        self.value = 3


def saved(path, content, **options):
    torch.save(content, path, **options)
    return str(path)


def pickled(path, content, protocol=2):
    path.write_bytes(pickle.dumps(content, protocol))
    return str(path)


def same_arrays(first, second):
    return list(first) == list(second) and all(
        np.array_equal(first[name], second[name]) for name in first
    )


class TestTorch:
    @pytest.mark.parametrize("name", ["a.pth", "a.pt", "a.bin", "a"])
    @pytest.mark.parametrize("zipped", [True, False])
    def test_weights_are_equal(self, tmp_path, name, zipped):
        options = {"_use_new_zipfile_serialization": zipped}
        named = read_checkpoint(saved(tmp_path / name, {"model": WEIGHTS, "epoch": 3}, **options))
        assert same_tensors(named["model"], WEIGHTS)
        assert named["epoch"] == 3
        bare = read_checkpoint(saved(tmp_path / name, WEIGHTS, **options))
        assert list(bare) == ["model"]
        assert same_tensors(bare["model"], WEIGHTS)

    def test_the_metadata_of_a_module_is_kept(self, tmp_path):
        state = torch.nn.BatchNorm2d(3).state_dict()
        read = read_checkpoint(saved(tmp_path / "a.pth", {"model": state}))["model"]
        assert read._metadata == state._metadata

    def test_the_shipped_teacher_is_equal(self):
        read = read_checkpoint(str(SHIPPED_TEACHER))
        expected = torch.load(SHIPPED_TEACHER, weights_only=False)
        assert same_tensors(read["model"], expected["model"])
        assert read["model"]["backbone.fpn_lateral2.weight"].dtype == torch.float16
        assert read["__author__"] == expected["__author__"]

    @pytest.mark.parametrize("kind", ["SGD", "AdamW"])
    def test_the_state_of_a_training_is_equal(self, tmp_path, kind):
        model = torch.nn.Linear(3, 2)
        options = {"lr": 0.1, "momentum": 0.9} if kind == "SGD" else {"lr": 0.1}
        optimizer = getattr(torch.optim, kind)(model.parameters(), **options)
        scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 5])
        for _ in range(2):
            model(torch.ones(1, 3)).sum().backward()
            optimizer.step()
            scheduler.step()
        scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
        scaler.scale(torch.ones(1))
        trainer = {"iteration": 1, "hooks": {"LRScheduler": scheduler.state_dict()}}
        content = {
            "model": model.state_dict(),
            "trainer": {**trainer, "_trainer": {"optimizer": optimizer.state_dict()}},
            "grad_scaler": scaler.state_dict(),
        }
        path = saved(tmp_path / "model_0000001.pth", content)
        read = read_checkpoint(path)
        state = read["trainer"]["_trainer"]["optimizer"]["state"]
        assert any(torch.is_tensor(value) for value in state[0].values())
        assert repr(read) == repr(torch.load(path, weights_only=False))
        assert read["grad_scaler"]["scale"] == 256.0

    def test_numpys_numbers_beside_the_tensors_are_equal(self, tmp_path):
        state = {"best": np.float64(0.5), "history": ARRAYS["conv1_w"], "lrs": [np.float32(0.1)]}
        path = saved(tmp_path / "a.pth", {"model": WEIGHTS, "trainer": state})
        assert repr(read_checkpoint(path)["trainer"]) == repr(state)
        with pytest.raises(pickle.UnpicklingError):  # as strict as before, once it is read
            torch.load(path, weights_only=True)

    def test_what_other_code_has_marked_as_safe_is_not_safe_here(self, tmp_path):
        path = saved(tmp_path / "a.pth", {"model": WEIGHTS, "other": OfOtherCode()})
        before = list(torch.serialization.get_safe_globals())
        torch.serialization.add_safe_globals([OfOtherCode])
        try:
            with pytest.raises(UnsafeFileError, match="OfOtherCode"):
                read_checkpoint(path)
            assert set(torch.serialization.get_safe_globals()) == {*before, OfOtherCode}
            assert torch.load(path, weights_only=True)["other"].value == 3
        finally:
            torch.serialization.clear_safe_globals()
            torch.serialization.add_safe_globals(before)

    @pytest.mark.parametrize("version", [1, 2])
    def test_arrays_of_either_numpy_are_equal(self, tmp_path, version):
        archive = Path(saved(tmp_path / "a.pth", ARRAYS))
        content = archive.read_bytes()
        record = pickle.dumps(ARRAYS, 2)
        assert content.count(record) == 1
        path = tmp_path / "other.pth"
        other = by_numpy(version, ARRAYS)
        with torch.serialization._open_zipfile_writer(str(path)) as writer:
            writer.write_record("data.pkl", other, len(other))
        assert same_arrays(read_checkpoint(str(path))["model"], ARRAYS)

    def test_of_before_210_is_warned_of_once(self, tmp_path, monkeypatch, tadistill_log):
        path = saved(tmp_path / "a.pth", WEIGHTS)
        for version, warnings in (("2.9.1+cu128", 1), ("2.10.0", 0)):
            torch_files._warn_of_old_torch.cache_clear()
            tadistill_log.clear()
            monkeypatch.setattr(torch, "__version__", version)
            for _ in range(2):
                read_checkpoint(path)
            assert tadistill_log.text.count("a known hole in weights_only") == warnings


class TestPickles:
    @pytest.mark.parametrize("protocol", [0, 2, 4, 5])
    def test_of_the_zoo_are_equal(self, tmp_path, protocol):
        content = {"model": ARRAYS, "__author__": "somebody", "matching_heuristics": True}
        read = read_checkpoint(pickled(tmp_path / "a.pkl", content, protocol))
        assert same_arrays(read.pop("model"), ARRAYS)
        assert read == {"__author__": "somebody", "matching_heuristics": True}

    @pytest.mark.parametrize("kind", ["detection", "ImageNet"])
    def test_of_caffe2_are_equal_without_the_momenta(self, tmp_path, kind):
        blobs = {**ARRAYS, "conv1_w_momentum": np.zeros((2, 3), np.float32)}
        content = {"blobs": blobs, "cfg": "MODEL: {}"} if kind == "detection" else blobs
        read = read_checkpoint(pickled(tmp_path / "a.pkl", content))
        assert same_arrays(read.pop("model"), ARRAYS)
        assert read == {"__author__": "Caffe2", "matching_heuristics": True}

    def test_of_python_2_are_equal(self, tmp_path):
        path = tmp_path / "a.pkl"
        path.write_bytes(by_python2(ARRAYS["conv1_w"]))
        assert same_arrays(read_checkpoint(str(path))["model"], {"weight": ARRAYS["conv1_w"]})

    def test_of_pycls_are_equal_without_the_counters(self, tmp_path):
        state = {**WEIGHTS, "bn.num_batches_tracked": torch.tensor(3)}
        content = {"model_state": state, "epoch": 3, "cfg": "MODEL: {}"}
        read = read_checkpoint(saved(tmp_path / "a.pyth", content))
        assert same_tensors(read.pop("model"), WEIGHTS)
        assert read == {"__author__": "pycls", "matching_heuristics": True}


class TestSafetensors:
    def test_weights_are_equal(self, tmp_path):
        path = str(tmp_path / "a.safetensors")
        save_file(dict(WEIGHTS), path, metadata={"format": "pt"})
        read = read_checkpoint(path)
        assert list(read) == ["model"]
        by_name = dict(sorted(WEIGHTS.items()))
        assert same_tensors(dict(sorted(read["model"].items())), by_name)

    def test_without_the_package_it_is_named(self, tmp_path, monkeypatch):
        path = tmp_path / "a.safetensors"
        save_file(dict(WEIGHTS), path)
        monkeypatch.setitem(sys.modules, "safetensors.torch", None)
        with pytest.raises(ConfigError) as error:
            read_checkpoint(str(path))
        assert str(error.value).startswith(f"{path} cannot be read without the package safetensors")
        assert not isinstance(error.value, (UnreadableFileError, UnsafeFileError))


@pytest.mark.parametrize("name", ["a.pth", "a.pkl", "a.pyth", "a.safetensors"])
class TestAFileThatIsNoCheckpoint:
    @pytest.mark.parametrize("content", [b"", b"words", b"PK\x03\x04 broken", b"\x80\x02}.", b"N."])
    def test_is_named(self, tmp_path, name, content):
        path = tmp_path / name
        path.write_bytes(content)
        if content == b"\x80\x02}." and name == "a.pkl":
            assert read_checkpoint(str(path))["model"] == {}
            return
        with pytest.raises(UnreadableFileError) as error:
            read_checkpoint(str(path))
        text = str(error.value)
        assert text.startswith(f"{path} is not a checkpoint of Detectron2: ")
        assert "weights_only" not in text
        assert "\n" not in text

    @pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
    def test_because_it_was_cut_short_is_named(self, tmp_path, name, share):
        path = tmp_path / name
        weights = {name: torch.rand(50) for name in "abcd"}
        content = {"model": weights, "model_state": weights}
        if name == "a.pkl":
            arrays = {name: tensor.numpy() for name, tensor in weights.items()}
            pickled(path, {"model": arrays, "__author__": "somebody"})
        elif name == "a.safetensors":
            save_file(weights, path)
        else:
            saved(path, content)
        assert len(read_checkpoint(str(path))["model"]) == 4
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        with pytest.raises(UnreadableFileError, match="is not a checkpoint of Detectron2: "):
            read_checkpoint(str(path))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([1, 2], "it holds a list"),
        ({"model": [1, 2]}, "its weights are a list"),
        ({"state_dict": dict(WEIGHTS)}, "among its weights, 'state_dict' is a dict"),
        ({"model": {3: torch.ones(1)}}, "among its weights, 3 is a Tensor"),
        ({"model": {"a": 1.5}}, "among its weights, 'a' is a float"),
    ],
)
def test_weights_that_are_none_are_named(tmp_path, content, reason):
    path = saved(tmp_path / "a.pth", content)
    with pytest.raises(UnreadableFileError) as error:
        read_checkpoint(path)
    assert str(error.value) == f"{path} is not a checkpoint of Detectron2: {reason}"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.pkl", {"blobs": 3}, "its weights are a int"),
        ("a.pkl", {"blobs": {3: ARRAYS["conv1_w"]}}, "among its weights, 3 is a ndarray"),
        ("a.pyth", {"model": dict(WEIGHTS)}, "a .pyth file of pycls has a 'model_state'"),
        ("a.pyth", {"model_state": 3}, "its weights are a int"),
    ],
)
def test_weights_that_others_would_not_have_written_are_named(tmp_path, name, content, reason):
    path = tmp_path / name
    path = pickled(path, content) if name == "a.pkl" else saved(path, content)
    with pytest.raises(UnreadableFileError) as error:
        read_checkpoint(path)
    assert str(error.value) == f"{path} is not a checkpoint of Detectron2: {reason}"


def test_archives_of_torch_that_are_programs_are_refused(tmp_path):
    """torch before 2.6 runs code of both, ``weights_only`` or not."""
    script, tar = tmp_path / "script.pth", tmp_path / "tar.pth"
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(script))
    tarfile.open(tar, "w").close()
    for path, kind in ((script, "a TorchScript archive"), (tar, "a tar archive")):
        with pytest.raises(UnsafeFileError) as error:
            read_checkpoint(str(path))
        assert str(error.value).startswith(f"{path} was refused, and nothing of it was run: ")
        assert kind in str(error.value)
