"""Weights that must all be there, or an error that names the key, the file and the tensors."""

import pickle

import pytest
import torch
from tiny import build, plain_cfg, same_tensors

from tadistill.errors import ConfigError
from tadistill.weights import load_all_weights

KEY = "MODEL.TADISTILL.TEACHER.WEIGHTS"


@pytest.fixture
def model():
    return build(plain_cfg(), seed=1)


def state(seed=2):
    return build(plain_cfg(), seed).state_dict()


def write(path, state_dict):
    torch.save({"model": state_dict}, path)
    return str(path)


def message(model, path, advice=""):
    with pytest.raises(ConfigError) as error:
        load_all_weights(model, str(path), KEY, advice)
    return str(error.value)


def test_fill_the_model_and_are_counted_in_the_log(model, tmp_path, tadistill_log):
    path = write(tmp_path / "model.pth", state())
    load_all_weights(model, path, KEY)
    assert same_tensors(model.state_dict(), state())
    assert f"{KEY}: all {len(state())} tensors of the model come from {path}" in tadistill_log.text


def test_load_from_a_pickle_as_the_model_zoo_has(model, tmp_path):
    arrays = {name: tensor.numpy() for name, tensor in state().items()}
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "somebody"}))
    load_all_weights(model, str(path), KEY)
    assert same_tensors(model.state_dict(), state())


def test_that_the_model_does_not_have_are_ignored(model, tmp_path):
    path = write(tmp_path / "model.pth", {**state(), "adapters.p3.weight": torch.zeros(1)})
    load_all_weights(model, path, KEY)
    assert same_tensors(model.state_dict(), state())


@pytest.mark.parametrize("absent", ["num_batches_tracked", "pixel_mean", "pixel_std"])
def test_that_play_no_part_or_come_from_the_config_may_be_missing(model, tmp_path, absent):
    some = {name: tensor for name, tensor in state().items() if not name.endswith(absent)}
    load_all_weights(model, write(tmp_path / "model.pth", some), KEY)


@pytest.mark.parametrize(
    "absent",
    [
        "roi_heads.box_predictor.cls_score.bias",
        "backbone.bottom_up.res4.1.conv2.norm.running_var",
        "proposal_generator.rpn_head.conv.weight",
    ],
)
def test_that_are_missing_are_named(model, tmp_path, absent):
    some = {name: tensor for name, tensor in state().items() if name != absent}
    path = write(tmp_path / "model.pth", some)
    text = message(model, path, "Do this.")
    assert text == (
        f"{KEY}: {path} does not fill the model that its config describes.\n"
        f"Not in the file (1): {absent}\nDo this."
    )


def test_that_are_all_missing_are_counted_and_the_first_named(model, tmp_path):
    text = message(model, write(tmp_path / "model.pth", {"somebody.elses": torch.zeros(1)}))
    expected = sum(
        not name.endswith("num_batches_tracked") and not name.startswith("pixel_")
        for name in state()
    )
    assert f"Not in the file ({expected}): " in text
    assert f", and {expected - 8} more" in text


def test_of_another_shape_are_named_with_both_shapes(model, tmp_path):
    name = "roi_heads.box_predictor.cls_score.bias"
    text = message(model, write(tmp_path / "model.pth", {**state(), name: torch.zeros(81)}))
    assert f"Of another shape (1): {name} (file (81,), model (4,))" in text
    assert "Not in the file" not in text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_of_a_training_that_diverged_are_refused(model, tmp_path, value):
    name = "roi_heads.box_predictor.cls_score.bias"
    broken = state()[name].clone()
    broken[1] = value
    path = write(tmp_path / "model.pth", {**state(), name: broken})
    assert message(model, path) == (
        f"{KEY}: {path} has values that are not finite in 1 tensors, as a training that has "
        f"diverged leaves them: {name}"
    )


def test_in_a_missing_file(model, tmp_path):
    assert f"{KEY}: there is no file {tmp_path}/no.pth" in message(model, tmp_path / "no.pth")


def test_at_an_address_that_cannot_be_reached(model):
    text = message(model, "detectron3://nothing.pth")
    assert "detectron3://nothing.pth" in text
    assert KEY in text


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 broken"])
def test_in_a_file_that_is_no_checkpoint(model, tmp_path, content):
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    assert f"{KEY}: {path} is not a checkpoint of Detectron2" in message(model, path)


def test_that_do_not_fit_leave_no_doubt_about_a_directory(model, tmp_path):
    assert f"{KEY}: there is no file {tmp_path}" in message(model, tmp_path)


def test_of_a_deeper_backbone_do_not_fill_a_shallower_one(model, tmp_path):
    deeper = build(plain_cfg("MODEL.RESNETS.DEPTH", 101)).state_dict()
    surplus = list(deeper.keys() - state().keys())
    assert len(surplus) > 17  # blocks of res4, each of several tensors
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    path = write(tmp_path / "model.pth", deeper)
    text = message(model, path, "Take the right config.")
    assert before.keys() < deeper.keys()  # so nothing is missing, and the shapes agree
    counted = [name for name in surplus if not name.endswith("num_batches_tracked")]
    assert f"{KEY}: {path} does not fill the model" in text
    assert f"In the file, but not in the model ({len(counted)}): backbone.bottom_up.res4.6." in text
    assert "num_batches_tracked" not in text
    assert text.endswith("\nTake the right config.")


@pytest.mark.parametrize(
    "surplus",
    [
        "backbone.bottom_up.res4.6.conv1.weight",
        "proposal_generator.rpn_head.conv2.weight",
        "roi_heads.box_head.fc2.weight",
    ],
)
def test_of_which_the_model_has_no_place_are_named(model, tmp_path, surplus):
    path = write(tmp_path / "model.pth", {**state(), surplus: torch.zeros(2)})
    assert f"In the file, but not in the model (1): {surplus}\n" in message(model, path)


@pytest.mark.parametrize(
    "surplus",
    [
        "roi_heads.mask_head.mask_fcn1.weight",
        "adapters.p3.weight",
        "backbone.bottom_up.stem.norm.num_batches_tracked",
    ],
)
def test_that_detection_does_not_need_are_ignored(model, tmp_path, surplus):
    path = write(tmp_path / "model.pth", {**state(), surplus: torch.zeros(2)})
    load_all_weights(model, path, KEY)
    assert same_tensors(model.state_dict(), state())


def test_of_a_trained_norm_fill_a_frozen_one(tmp_path):
    """Which has all of BatchNorm's tensors but the counter."""
    frozen = build(plain_cfg("MODEL.RESNETS.NORM", "FrozenBN"), seed=1)
    trained = state()
    load_all_weights(frozen, write(tmp_path / "model.pth", trained), KEY)
    loaded = frozen.state_dict()
    assert all(torch.equal(loaded[name], trained[name]) for name in loaded)


def test_in_half_precision_fill_a_float32_model(model, tmp_path):
    half = {k: v.half() if v.is_floating_point() else v for k, v in state().items()}
    load_all_weights(model, write(tmp_path / "model.pth", half), KEY)
    loaded = model.state_dict()
    floating = {name for name, tensor in half.items() if tensor.dtype == torch.float16}
    assert {loaded[name].dtype for name in floating} == {torch.float32}
    assert all(torch.equal(loaded[name], half[name].float()) for name in floating)
