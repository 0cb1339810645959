"""BatchNorm folded away: the same numbers, but for rounding."""

import copy

import pytest
import torch
from detectron2.layers import Conv2d, FrozenBatchNorm2d
from tiny import batch, build, liven, same_tensors, teacher_cfg
from torch import nn

from tadistill.teacher.folding import fold_batch_norm


def teacher(*opts):
    return liven(build(teacher_cfg(*opts))).eval().requires_grad_(False)


def answers(model, dtype):
    images = model.preprocess_image(batch()).tensor.to(dtype)
    return model.backbone(images)


@pytest.mark.parametrize(
    ("opts", "folded"),
    [
        (("MODEL.RESNETS.NORM", "BN"), 53),
        (("MODEL.RESNETS.NORM", "FrozenBN"), 53),
        (("MODEL.RESNETS.NORM", "SyncBN", "MODEL.FPN.NORM", "BN"), 61),
        (("MODEL.RESNETS.NORM", "GN"), 0),
    ],
    ids=["BN", "FrozenBN", "SyncBN and an FPN with BN", "GN"],
)
def test_in_float64_nothing_but_rounding_changes(opts, folded):
    if "GN" in opts:
        opts += ("MODEL.RESNETS.WIDTH_PER_GROUP", 32, "MODEL.RESNETS.STEM_OUT_CHANNELS", 32)
        opts += ("MODEL.RESNETS.RES2_OUT_CHANNELS", 32)
    model = teacher(*opts).double()
    before = answers(model, torch.float64)
    assert fold_batch_norm(model) == folded
    after = answers(model, torch.float64)
    assert same_tensors(before, after) == (folded == 0)
    for name in before:
        torch.testing.assert_close(after[name], before[name], rtol=1e-12, atol=1e-12)
    norms = [m for m in model.modules() if isinstance(m, (nn.BatchNorm2d, FrozenBatchNorm2d))]
    assert not norms
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_in_float32_it_is_as_close_as_rounding_allows():
    model = teacher("MODEL.FPN.NORM", "BN")
    before, exact = answers(model, torch.float32), answers(teacher_in_float64(model), torch.float64)
    fold_batch_norm(model)
    for name, after in answers(model, torch.float32).items():
        scale = exact[name].abs().max()
        assert (after - before[name]).abs().max() < 1e-5 * scale
        assert (after - exact[name]).abs().max() < 1e-5 * scale


def teacher_in_float64(model):
    return copy.deepcopy(model).double()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_one_layer(bias, affine):
    generator = torch.Generator().manual_seed(0)
    norm = nn.BatchNorm2d(5, eps=0.1, affine=affine)
    layer = Conv2d(3, 5, 3, bias=bias, norm=norm, activation=nn.functional.relu).double()
    with torch.no_grad():
        for tensor in (*layer.parameters(), norm.running_mean):
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
        norm.running_var.uniform_(0.5, 2, generator=generator)
    x = torch.randn(2, 3, 6, 6, generator=generator).double()
    expected = layer.eval()(x)
    assert fold_batch_norm(nn.ModuleList([layer, layer])) == 1  # a layer that is used twice
    torch.testing.assert_close(layer(x), expected)
    assert fold_batch_norm(layer) == 0


def test_statistics_of_the_batch_are_left():
    layer = Conv2d(3, 5, 3, norm=nn.BatchNorm2d(5, track_running_stats=False))
    assert fold_batch_norm(layer) == 0
    assert layer.norm is not None
