"""``SOLVER.OPTIMIZER``: Detectron2's SGD, or AdamW."""

import torch
from detectron2.config import CfgNode
from detectron2.solver import build_optimizer as build_sgd
from detectron2.solver.build import (
    GradientClipType,
    get_default_optimizer_params,
    maybe_add_gradient_clipping,
)
from torch import nn

from ..errors import ConfigError


def build_optimizer(cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of all parameters that require a gradient, with ``SOLVER.CLIP_GRADIENTS``.

    Raises:
        ConfigError: if ``SOLVER.OPTIMIZER`` is neither "SGD" nor "ADAMW", or ``CLIP_TYPE`` is
            none of Detectron2's.
    """
    _check_clipping(cfg)
    name = cfg.SOLVER.OPTIMIZER
    if name == "SGD":
        return build_sgd(cfg, model)
    if name != "ADAMW":
        raise ConfigError(f"SOLVER.OPTIMIZER is {name!r}; choose one of 'SGD', 'ADAMW'")
    params = get_default_optimizer_params(
        model,
        base_lr=cfg.SOLVER.BASE_LR,
        weight_decay_norm=cfg.SOLVER.WEIGHT_DECAY_NORM,
        bias_lr_factor=cfg.SOLVER.BIAS_LR_FACTOR,
        weight_decay_bias=cfg.SOLVER.WEIGHT_DECAY_BIAS,
    )
    return maybe_add_gradient_clipping(cfg, torch.optim.AdamW)(
        params, lr=cfg.SOLVER.BASE_LR, weight_decay=cfg.SOLVER.WEIGHT_DECAY
    )


def _check_clipping(cfg: CfgNode) -> None:
    clipping, known = cfg.SOLVER.CLIP_GRADIENTS, [kind.value for kind in GradientClipType]
    if clipping.ENABLED and clipping.CLIP_TYPE not in known:
        raise ConfigError(
            f"SOLVER.CLIP_GRADIENTS.CLIP_TYPE is {clipping.CLIP_TYPE!r}; choose one of "
            f"{', '.join(map(repr, known))}"
        )
