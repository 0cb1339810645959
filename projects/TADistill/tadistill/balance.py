"""Weights that need no tuning: how hard each term pulls, beside the detection losses.

    s_x = f_x |g_det| / |g_x|,    g = dL / dF_S,  all levels together

A term x (feature, logit, box) of weight 1, times s_x, has a gradient on the student's features of
the fraction f_x of the detection losses' own. The norms are measured every so many iterations; in
between s_x stays as it is.
"""

import logging
from collections.abc import Mapping, Sequence
from importlib import import_module

import torch
import torch.distributed as dist
from detectron2.utils import comm
from detectron2.utils.events import get_event_storage
from detectron2.utils.logger import log_first_n
from torch import Tensor, nn

from .errors import ConfigError
from .options import TERMS, BalanceOptions
from .parallel import unwrapped

NOTHING_TO_MEASURE = (
    "MODEL.TADISTILL.BALANCE measures gradients on the student's feature maps, but all of its "
    "backbone is frozen, the FPN included: set MODEL.TADISTILL.BALANCE.ENABLED to False"
)
CHECKPOINTED = (
    "MODEL.TADISTILL.BALANCE cannot measure gradients through activations that are checkpointed "
    "with use_reentrant=True: call torch.utils.checkpoint.checkpoint with use_reentrant=False, or "
    "set MODEL.TADISTILL.BALANCE.ENABLED to False"
)

# Of gradients alone, of which only ratios are read. Those on feature maps are so small that
# float16 would lose them; times a power of two, float32 and bfloat16 lose nothing.
_LOSS_SCALE = 2.0**12


class GradientBalance(nn.Module):
    """Holds the scales ``s_x``, measures them, and multiplies the terms by them.

    Measured in the first step, and in iterations (of the ``EventStorage``) that ``PERIOD`` divides,
    before the step's backward pass. What that costs is a backward pass for the detection losses and
    one for each term, which end at the features, compute no weight's gradient and touch no
    ``.grad``.
    Each goes backward through a graph that the step's own backward pass needs again. Parts of the
    model that ``torch.compile`` has compiled allow that only with the ``donated_buffer`` of
    ``torch._functorch.config`` off, which is why it is off in a process that has made one of these.

    In several processes the norms are those of all images, so that the scales are the same
    everywhere: each process has to call this in each step. Where gradients are off, as in what
    ``TEST.PRECISE_BN`` runs, there is nothing to measure and the scales stay.

    Attributes:
        scales: (3,), in the order of ``TERMS``; 0 for a term that has not had a gradient at any
            measurement yet. The only state: a resumed training finds it in its checkpoint, and one
            that only begins with another's weights is to forget it: :func:`forget_balance`.
    """

    def __init__(self, options: BalanceOptions, weights: Mapping[str, float]):
        """
        Args:
            options: fractions, period, momentum and limits.
            weights: ``lambda_x`` by the names of the terms. What is measured is the term without
                it, so that it still multiplies the gradient.
        """
        super().__init__()
        _keep_what_compiled_parts_save()
        self._options = options
        self._weights = weights
        self.register_buffer("scales", torch.zeros(len(TERMS)))
        self._has_begun = False

    def __setstate__(self, state):
        super().__setstate__(state)
        _keep_what_compiled_parts_save()  # in the process that a model was sent to, too

    def forward(
        self,
        terms: Mapping[str, Tensor],
        detection_losses: Mapping[str, Tensor],
        features_S: Mapping[str, Tensor],
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Each term times its ``s_x``, and the ``s_x``.

        Args:
            terms: ``lambda_x L_x``, by name, without w(t).
            detection_losses: all that the detector is trained on without a teacher.
            features_S: ``F_S^l``, what both were computed from.
        """
        its_turn = get_event_storage().iter % self._options.period == 0
        if torch.is_grad_enabled():
            if its_turn or self._is_first_step():
                self._measure(terms, sum(detection_losses.values()), list(features_S.values()))
            self._has_begun = True
        # A copy: the next measurement must not change what a backward pass still needs.
        scales = dict(zip(TERMS, self.scales.clone(), strict=True))
        scales = {name: scales[name] for name in terms}
        return {name: scales[name] * term for name, term in terms.items()}, scales

    def forget(self) -> None:
        """The next step measures the scales, whatever was measured before."""
        self.scales.zero_()
        self._has_begun = False

    def _is_first_step(self) -> bool:
        """Whether nothing has been measured yet, neither here nor where this training goes on from.

        A training begins at iteration 0, which every period divides, and is never asked. In a loop
        whose storage begins elsewhere the terms would otherwise be silent for a while, or for ever.
        """
        return not self._has_begun and not self.scales.any().item()  # a GPU is waited for, once

    def _measure(
        self, terms: Mapping[str, Tensor], detection_loss: Tensor, features: Sequence[Tensor]
    ) -> None:
        is_frozen = not any(x.requires_grad for x in features)
        if is_frozen and self.scales.any():
            # Since the middle of a training: the terms go on to teach the heads.
            log_first_n(logging.WARNING, f"{NOTHING_TO_MEASURE}. The scales stay", name=__name__)
            return
        norm_det, *norms = gradient_norms([detection_loss, *terms.values()], features)
        options = self._options
        for name, norm in zip(terms, norms, strict=True):
            measured = self._weights[name] * getattr(options, name) * norm_det / norm
            scale = self.scales[TERMS.index(name)]
            scale.copy_(smoothed(scale, measured, options.momentum, options.limit))


def forget_balance(model: nn.Module) -> None:
    """Lets a training begin with scales of its own, though its weights are of another distillation.

    Args:
        model: any; in a ``DistributedDataParallel`` or not. Without a balance nothing is done.
    """
    balance = unwrapped(getattr(unwrapped(model), "balance", None))
    if isinstance(balance, GradientBalance):
        balance.forget()


def gradient_norms(losses: Sequence[Tensor], features: Sequence[Tensor]) -> Tensor:
    """``|dL / dF|`` of each loss, L2 over all elements of all maps, of all processes' images.

    A gradient is the total one: that of a map that another is made of (p5, of which Detectron2's
    FPN makes p6) includes what comes through the other. Not so where the two come out of one
    node of the graph, as those of a backbone that was compiled whole do.

    Args:
        losses: scalars. Their graph stays, and no parameter gets a gradient.
        features: the maps, of any precision.

    Returns:
        (len(losses),), float32, times a constant; NaN or infinity if a gradient has one.

    Raises:
        ConfigError: if no map has a gradient, or what lies behind them is checkpointed in torch's
            older way, which knows of no gradient but that of all parameters.
    """
    features = [x for x in features if x.requires_grad]
    if not features:
        raise ConfigError(NOTHING_TO_MEASURE)
    # Torch advises against a backward pass under autocast: it runs in the forward pass's types.
    with torch.autocast(features[0].device.type, enabled=False):
        squares = torch.stack([_squared_norm(_LOSS_SCALE * loss, features) for loss in losses])
    if comm.get_world_size() > 1:
        # Of averaged gradients they would be smaller by the same factor for all losses.
        dist.all_reduce(squares)
    return squares.sqrt()


@torch.no_grad()
def smoothed(
    scales: Tensor, measured: Tensor, momentum: float, limit: tuple[float, float]
) -> Tensor:
    """``s^momentum measured^(1 - momentum)``: the moving average of their logarithms.

    Args:
        scales: before; 0 for what is measured for the first time, and then becomes ``measured``.
        measured: brought within ``limit`` first. Where it is 0, infinite or NaN, as of a term with
            all gates closed, there is nothing to learn from it: the scale stays.
        momentum: in [0, 1).
        limit: the smallest and the largest scale.
    """
    within = measured.clamp(*limit)
    average = torch.where(scales > 0, scales**momentum * within ** (1 - momentum), within)
    return torch.where(measured.isfinite() & (measured > 0), average, scales)


def _squared_norm(loss: Tensor, features: Sequence[Tensor]) -> Tensor:
    try:
        gradients = torch.autograd.grad(loss, features, retain_graph=True, allow_unused=True)
    except RuntimeError as e:
        if "checkpoint" in str(e).lower() and ".grad()" in str(e):  # in older torch's words too
            raise ConfigError(CHECKPOINTED) from e
        raise
    norms = [torch.linalg.vector_norm(g, dtype=torch.float32) for g in gradients if g is not None]
    return torch.stack(norms).square().sum() if norms else loss.new_zeros(())


def _keep_what_compiled_parts_save() -> None:
    """What is compiled from here on does not give away, in its backward pass, the memory of what
    its forward pass saved for it. Torch decides that when it compiles, which may be in any step.
    """
    config = import_module("torch._functorch.config")
    if hasattr(config, "donated_buffer"):  # older ones give nothing away
        config.donated_buffer = False
