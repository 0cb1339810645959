"""The checkpointer: what Detectron2's own makes of a file, without its unpickling."""

import pickle
from types import SimpleNamespace
from urllib.parse import urlparse

import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer
from fvcore.common.checkpoint import Checkpointer
from safetensors.torch import save_file
from tiny import build, clone, liven, plain_cfg, same_tensors

from tadistill.checkpoint import TADistillCheckpointer, UnreadableFileError
from tadistill.errors import ConfigError


def source():
    return liven(build(plain_cfg(), seed=2)).state_dict()


def write(path, kind):
    """Weights of a tiny detector, as somebody else names them."""
    state = source()
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    stem = arrays["backbone.bottom_up.stem.conv1.weight"]
    if kind == "zoo":
        path = path.with_suffix(".pkl")
        path.write_bytes(pickle.dumps({"model": arrays, "__author__": "somebody"}))
    elif kind == "torchvision, converted":
        path = path.with_suffix(".pkl")
        content = {"stem.conv1.weight": stem, "stem.conv1.norm.bias": stem[:, 0, 0, 0]}
        content = {"model": content, "__author__": "torchvision", "matching_heuristics": True}
        path.write_bytes(pickle.dumps(content))
    elif kind == "Caffe2":
        path = path.with_suffix(".pkl")
        blobs = {"conv1_w": stem, "conv1_w_momentum": stem, "res_conv1_bn_b": stem[:, 0, 0, 0]}
        path.write_bytes(pickle.dumps({"blobs": blobs}, 2))
    elif kind == "pycls":
        path = path.with_suffix(".pyth")
        torch.save({"model_state": {"stem.conv1.weight": torch.from_numpy(stem)}}, path)
    else:
        path = path.with_suffix(".pth")
        module = {f"module.{name}": tensor for name, tensor in state.items()}
        contents = {"named": {"model": state}, "bare": state, "parallel": {"model": module}}
        torch.save(contents[kind], path)
    return str(path)


def loaded(checkpointer_class, path):
    model = build(plain_cfg(), seed=1)
    checkpointer_class(model, save_to_disk=False).load(path)
    return clone(model.state_dict())


@pytest.mark.parametrize(
    "kind",
    ["zoo", "torchvision, converted", "Caffe2", "pycls", "named", "bare", "parallel"],
)
def test_a_model_gets_what_detectron2_gives_it(tmp_path, kind):
    path = write(tmp_path / "weights", kind)
    ours = loaded(TADistillCheckpointer, path)
    assert same_tensors(ours, loaded(DetectionCheckpointer, path))
    stem = "backbone.bottom_up.stem.conv1.weight"
    assert torch.equal(ours[stem], source()[stem])


def test_a_model_gets_its_weights_from_safetensors(tmp_path):
    path = str(tmp_path / "weights.safetensors")
    save_file(source(), path)
    assert same_tensors(loaded(TADistillCheckpointer, path), source())


def test_weights_of_a_compiled_model_fill_the_plain_one_and_itself(tmp_path):
    weights = {"_orig_mod.weight": torch.ones(2, 3), "_orig_mod.bias": torch.ones(2)}
    torch.save({"model": weights}, tmp_path / "compiled.pth")
    plain = torch.nn.Linear(3, 2)
    compiled = torch.nn.ModuleDict({"_orig_mod": torch.nn.Linear(3, 2)})
    for model in (plain, compiled):
        TADistillCheckpointer(model).load(str(tmp_path / "compiled.pth"))
        assert all((tensor == 1).all() for tensor in model.state_dict().values())


@pytest.mark.parametrize("of_file", ["plain", "head", "backbone"])
@pytest.mark.parametrize("of_model", ["plain", "head", "all"])
def test_weights_find_their_place_whatever_was_compiled(tmp_path, of_file, of_model):
    """Detectron2 would only warn of what it does not find."""

    class Old(torch.nn.Linear):
        _version = 2

        def _load_from_state_dict(self, tensors, prefix, metadata, *others):
            assert metadata["version"] == 2
            super()._load_from_state_dict(tensors, prefix, metadata, *others)

    def detector(compiled):
        parts = {"backbone": torch.nn.Linear(2, 3), "head": Old(3, 1)}
        if compiled in parts:
            parts[compiled] = torch.compile(parts[compiled])
        model = torch.nn.ModuleDict(parts)
        return torch.compile(model) if compiled == "all" else model

    source, model = detector(of_file), detector(of_model)
    torch.save({"model": source.state_dict()}, tmp_path / "weights.pth")
    TADistillCheckpointer(model).load(str(tmp_path / "weights.pth"))
    pairs = zip(source.state_dict().values(), model.state_dict().values(), strict=True)
    assert all(torch.equal(theirs, mine) for theirs, mine in pairs)


def test_a_part_that_somebody_calls_as_torch_does_is_found_too(tmp_path):
    def layer():
        layer = torch.nn.Linear(3, 2)
        layer._orig_mod = torch.nn.Linear(3, 2)
        return layer

    source, model = layer(), layer()
    torch.save({"model": source.state_dict()}, tmp_path / "weights.pth")
    TADistillCheckpointer(model).load(str(tmp_path / "weights.pth"))
    assert same_tensors(model.state_dict(), source.state_dict())


@pytest.mark.parametrize("prefix", ["_orig_mod.module.", "module._orig_mod.", "module."])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_distributed_and_compiled_models_weights_are_found(tmp_path, prefix, compiled):
    source, model = (torch.nn.ModuleDict({"a": torch.nn.Linear(3, 2)}) for _ in range(2))
    weights = {prefix + name: tensor for name, tensor in source.state_dict().items()}
    torch.save({"model": weights}, tmp_path / "weights.pth")
    if compiled:
        model["a"] = torch.compile(model["a"])
    TADistillCheckpointer(model).load(str(tmp_path / "weights.pth"))
    pairs = zip(source.state_dict().values(), model.state_dict().values(), strict=True)
    assert all(torch.equal(theirs, mine) for theirs, mine in pairs)


@pytest.mark.parametrize("versions", [None, {3: {"version": 2}}, [1]])
def test_odd_versions_are_none(tmp_path, versions):
    source, model = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    weights = source.state_dict()
    weights._metadata = versions
    torch.save({"model": weights}, tmp_path / "weights.pth")
    TADistillCheckpointer(model).load(str(tmp_path / "weights.pth"))
    assert same_tensors(model.state_dict(), source.state_dict())


def test_a_training_is_saved_and_found_again(tmp_path):
    model = build(plain_cfg())
    optimizer = torch.optim.AdamW(model.parameters())
    optimizer.zero_grad()
    sum(parameter.sum() for parameter in model.parameters()).backward()
    optimizer.step()
    expected = clone(model.state_dict())
    checkpointer = TADistillCheckpointer(model, str(tmp_path), optimizer=optimizer)
    checkpointer.save("model_0000004", iteration=4)

    other = build(plain_cfg(), seed=1)
    resumed = torch.optim.AdamW(other.parameters(), lr=5.0)
    checkpointer = TADistillCheckpointer(other, str(tmp_path), optimizer=resumed)
    assert checkpointer.resume_or_load("", resume=True) == {"iteration": 4}
    assert same_tensors(other.state_dict(), expected)
    saved, found = optimizer.state_dict(), resumed.state_dict()
    assert found["param_groups"] == saved["param_groups"]
    assert found["state"].keys() == saved["state"].keys()
    assert all(same_tensors(found["state"][i], saved["state"][i]) for i in saved["state"])


class TestAnAddressWithAQuery:
    """Which only Detectron2 main knows: it keeps the address while it loads."""

    @pytest.fixture
    def read(self, tmp_path):
        path = write(tmp_path / "weights", "named")
        checkpointer = TADistillCheckpointer(None, save_to_disk=False)

        def read(query):
            checkpointer._parsed_url_during_load = urlparse(f"https://somewhere/a.pth{query}")
            return checkpointer._load_file(path)

        return SimpleNamespace(read=read, checkpointer=checkpointer, path=path)

    def test_can_ask_for_matching(self, read):
        assert read.read("?matching_heuristics=True")["matching_heuristics"] is True
        for query in ("", "?matching_heuristics=False"):
            assert "matching_heuristics" not in read.read(query)

    def test_cannot_ask_for_anything_else(self, read):
        with pytest.raises(ConfigError) as error:
            read.read("?matching_heuristics=True&unpickle=1")
        assert str(error.value).startswith("https://somewhere/a.pth?matching_heuristics=True&")
        assert "unpickle" in str(error.value)


def test_a_file_that_failed_does_not_keep_the_next_from_being_read(tmp_path, monkeypatch):
    def load(self, path):  # as Detectron2 main begins and ends it
        assert self._parsed_url_during_load is None
        self._parsed_url_during_load = urlparse(path)
        Checkpointer.load(self, path)
        self._parsed_url_during_load = None

    monkeypatch.setattr(DetectionCheckpointer, "load", load)
    model = build(plain_cfg(), seed=1)
    checkpointer = TADistillCheckpointer(model, save_to_disk=False)
    (tmp_path / "broken.pth").write_bytes(b"PK\x03\x04")
    with pytest.raises(UnreadableFileError):
        checkpointer.load(str(tmp_path / "broken.pth"))
    checkpointer.load(write(tmp_path / "weights", "named"))
    assert same_tensors(model.state_dict(), source())
