"""SOLVER.OPTIMIZER: Detectron2's own SGD, or AdamW with the same parameter groups."""

import pytest
import torch
from detectron2.solver import build_optimizer as build_stock
from tiny import build, plain_cfg, student_cfg

from tadistill import add_tadistill_config
from tadistill.engine.optimizer import build_optimizer
from tadistill.errors import ConfigError


@pytest.fixture
def model(teacher_files):
    return build(student_cfg(teacher_files))


def cfg_with(*opts):
    cfg = plain_cfg()
    add_tadistill_config(cfg)
    cfg.merge_from_list(list(opts))
    return cfg


def options_of(optimizer):
    """Each parameter's own options."""
    return {
        id(parameter): {k: v for k, v in group.items() if k != "params"}
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_sgd_is_detectron2s(model):
    cfg = cfg_with("SOLVER.WEIGHT_DECAY_NORM", 0.03, "SOLVER.MOMENTUM", 0.8)
    mine, stock = build_optimizer(cfg, model), build_stock(cfg, model)
    assert type(mine) is type(stock) is torch.optim.SGD
    assert options_of(mine) == options_of(stock)


@pytest.mark.parametrize("name", ["SGD", "ADAMW"])
def test_has_all_of_the_student_and_nothing_of_the_teacher(model, name):
    optimizer = build_optimizer(cfg_with("SOLVER.OPTIMIZER", name), model)
    assert set(options_of(optimizer)) == {id(parameter) for parameter in model.parameters()}
    assert not set(options_of(optimizer)) & {id(p) for p in model.teacher.parameters()}


def test_adamw_has_the_rates_and_decays_of_the_config(model):
    cfg = cfg_with(
        *("SOLVER.OPTIMIZER", "ADAMW", "SOLVER.BASE_LR", 0.002, "SOLVER.WEIGHT_DECAY", 0.05),
        *("SOLVER.WEIGHT_DECAY_NORM", 0.01),
    )
    optimizer = build_optimizer(cfg, model)
    assert isinstance(optimizer, torch.optim.AdamW)
    options = options_of(optimizer)
    stem = model.backbone.bottom_up.stem.conv1
    assert options[id(stem.weight)]["weight_decay"] == 0.05
    assert options[id(stem.norm.weight)]["weight_decay"] == 0.01
    assert {group["lr"] for group in optimizer.param_groups} == {0.002}


@pytest.mark.parametrize("name", ["SGD", "ADAMW"])
def test_biases_have_a_rate_and_a_decay_of_their_own(model, name):
    cfg = cfg_with(
        *("SOLVER.OPTIMIZER", name, "SOLVER.BASE_LR", 0.002, "SOLVER.WEIGHT_DECAY", 0.05),
        *("SOLVER.BIAS_LR_FACTOR", 2.0, "SOLVER.WEIGHT_DECAY_BIAS", 0.0),
    )
    options = options_of(build_optimizer(cfg, model))
    scores = model.roi_heads.box_predictor.cls_score
    assert options[id(scores.bias)]["lr"] == pytest.approx(0.004)
    assert options[id(scores.bias)]["weight_decay"] == 0
    assert options[id(scores.weight)]["lr"] == pytest.approx(0.002)
    assert options[id(scores.weight)]["weight_decay"] == 0.05


@pytest.mark.parametrize("name", ["SGD", "ADAMW"])
def test_gradients_are_clipped_where_the_config_says_so(model, name):
    clip = ("SOLVER.CLIP_GRADIENTS.ENABLED", True, "SOLVER.CLIP_GRADIENTS.CLIP_VALUE", 0.5)
    for opts, largest in ((clip, 0.5), ((), 100.0)):
        optimizer = build_optimizer(cfg_with("SOLVER.OPTIMIZER", name, *opts), model)
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 100.0)
        optimizer.step()
        assert {parameter.grad.max().item() for parameter in model.parameters()} == {largest}


def test_adamw_lowers_a_loss():
    layer = torch.nn.Linear(3, 1)
    inputs = torch.rand(8, 3)
    cfg = cfg_with("SOLVER.OPTIMIZER", "ADAMW", "SOLVER.BASE_LR", 0.05)
    optimizer = build_optimizer(cfg, layer)
    losses = []
    for _ in range(20):
        loss = (layer(inputs) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("name", ["SGD", "ADAMW"])
def test_an_unknown_clipping_is_an_error(model, name):
    opts = ("SOLVER.OPTIMIZER", name, "SOLVER.CLIP_GRADIENTS.CLIP_TYPE", "full_model")
    build_optimizer(cfg_with(*opts), model)
    with pytest.raises(
        ConfigError, match=r"CLIP_TYPE is 'full_model'; choose one of 'value', 'norm'"
    ):
        build_optimizer(cfg_with(*opts, "SOLVER.CLIP_GRADIENTS.ENABLED", True), model)


def test_an_unknown_name_is_an_error(model):
    with pytest.raises(
        ConfigError, match=r"SOLVER\.OPTIMIZER is 'ADAM'; choose one of 'SGD', 'ADAMW'"
    ):
        build_optimizer(cfg_with("SOLVER.OPTIMIZER", "ADAM"), model)
