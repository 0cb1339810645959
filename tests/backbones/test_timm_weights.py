"""ImageNet weights from a file: all of them, or an error that names what does not fit."""

import pickle

import pytest
import timm
import torch
from safetensors.torch import save_file
from tiny import with_statistics

from tadistill.backbones.timm_fpn import build_timm_backbone
from tadistill.backbones.timm_weights import load_timm_weights
from tadistill.errors import ConfigError

KEY = "MODEL.TIMM.WEIGHTS"
NAME = "test_efficientnet"


def whole(name=NAME, **options):
    """A classifier as timm has it, head and all."""
    torch.manual_seed(5)
    return with_statistics(timm.create_model(name, **options))


def features(name=NAME):
    torch.manual_seed(6)
    return timm.create_model(name, features_only=True)


def write(path, weights):
    torch.save(weights, path)
    return str(path)


def refusal(path, name=NAME):
    with pytest.raises(ConfigError) as error:
        load_timm_weights(features(name), name, str(path), KEY)
    return str(error.value)


def answers(model):
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model.eval()(image)


# Some have "stages_0" for "stages.0"; some have GroupNorm, LayerNorm or no norm at all.
@pytest.mark.parametrize(
    "name",
    [
        *("test_efficientnet", "test_efficientnet_gn", "test_resnet", "test_byobnet"),
        *("test_convnext", "test_mambaout", "test_nfnet", "mobilenetv4_conv_small_035"),
    ],
)
def test_of_the_whole_classifier_fill_what_is_used_of_it(name, tmp_path, tadistill_log):
    source = whole(name)
    path = write(tmp_path / "weights.pth", source.state_dict())
    model = features(name)
    before = answers(model)
    load_timm_weights(model, name, path, KEY)
    # timm's own way from a classifier to its feature maps, before it rewrites the modules.
    overlay = {"state_dict": source.state_dict(), "custom_load": False}
    expected = timm.create_model(
        name, features_only=True, pretrained=True, pretrained_cfg_overlay=overlay
    )
    for ours, theirs, fresh in zip(answers(model), answers(expected), before, strict=True):
        assert torch.equal(ours, theirs)
        assert not torch.equal(ours, fresh)
    assert f"tensors of the backbone come from {path}" in tadistill_log.text


def test_come_in_any_format_that_is_read(tmp_path):
    state = whole().state_dict()
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    half = {name: tensor.half() for name, tensor in state.items()}
    save_file(state, tmp_path / "weights.safetensors")
    (tmp_path / "weights.pkl").write_bytes(pickle.dumps({"model": arrays, "__author__": "me"}))
    write(tmp_path / "weights.pth", {"model": state, "epoch": 3})
    write(tmp_path / "half.pth", half)
    for path in sorted(tmp_path.iterdir()):
        model = features()
        load_timm_weights(model, NAME, str(path), KEY)
        for name, tensor in model.state_dict().items():
            expected = (half if path.stem == "half" else state)[name]
            assert torch.equal(tensor, expected.to(tensor.dtype)), (path, name)


def test_need_neither_a_head_nor_counters(tmp_path):
    some = {
        name: tensor
        for name, tensor in whole().state_dict().items()
        if not name.startswith(("conv_head", "bn2", "classifier"))
        and not name.endswith("num_batches_tracked")
    }
    load_timm_weights(features(), NAME, write(tmp_path / "weights.pth", some), KEY)


def test_have_any_number_of_classes(tmp_path):
    path = write(tmp_path / "weights.pth", whole(num_classes=7).state_dict())
    load_timm_weights(features(), NAME, path, KEY)


@pytest.mark.parametrize("norm", ["BN", "FrozenBN"])
@pytest.mark.parametrize("absent", ["conv_stem.weight", "blocks.4.0.bn3.running_var"])
def test_that_are_missing_are_named(tmp_path, absent, norm):
    state = whole().state_dict()
    del state[absent]
    path = write(tmp_path / "weights.pth", state)
    with pytest.raises(ConfigError) as error:
        build_timm_backbone(NAME, path, norm, ["stride16", "stride32"])
    text = str(error.value)
    assert f"{KEY}: {path} does not fill the timm model {NAME}." in text
    assert f"Not in the file (1): {absent}" in text
    assert "In the file" not in text


def test_of_another_shape_are_named_and_leave_the_model_as_it_is(tmp_path):
    state = whole().state_dict()
    state["blocks.4.0.bn3.bias"] = torch.zeros(65)
    model = features()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(
        ConfigError, match=r"\(1\): blocks.4.0.bn3.bias \(file \(65,\), model \(64,\)"
    ):
        load_timm_weights(model, NAME, write(tmp_path / "weights.pth", state), KEY)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_of_a_deeper_model_do_not_fill_a_shallower_one(tmp_path):
    """All that a ResNet-18 has is in a ResNet-34, with the same shapes."""
    path = write(tmp_path / "weights.pth", whole("resnet34").state_dict())
    text = refusal(path, "resnet18")
    assert "Not in the file" not in text
    assert "Of another shape" not in text
    assert "In the file, but not in the model (96): layer1.2.conv1.weight" in text


def test_that_are_not_there(tmp_path):
    for path in (tmp_path / "no.pth", tmp_path, "https://nowhere.invalid/weights.pth"):
        text = refusal(path)
        assert f"{KEY}: there is no file {path} on this machine" in text
        assert f'set {KEY} to ""' in text


def test_that_are_no_weights(tmp_path):
    (tmp_path / "weights.pth").write_text("not weights")
    text = refusal(tmp_path / "weights.pth")
    assert text.startswith(f"{KEY}: {tmp_path / 'weights.pth'} is not a checkpoint")
