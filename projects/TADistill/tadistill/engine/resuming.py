"""An optimizer that goes on from a checkpoint, by the settings of today's config."""

import logging
from collections.abc import Mapping

from detectron2.solver.lr_scheduler import LRMultiplier
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..errors import ConfigError

logger = logging.getLogger(__name__)

# Of a group of parameters, what SOLVER says of it; the scheduler makes "lr" of the first.
_SETTINGS = ("initial_lr", "weight_decay", "momentum", "nesterov")


def settings_of(optimizer: Optimizer) -> list[dict]:
    """What the config has made of each group of parameters."""
    return [{k: group[k] for k in _SETTINGS if k in group} for group in optimizer.param_groups]


def check_optimizer(state: Mapping, optimizer: Optimizer) -> None:
    """Whether a checkpoint has this optimizer's state.

    Args:
        state: the trainer's, of the checkpoint.
        optimizer: as the config has it.

    Raises:
        ConfigError: if it has none, or another optimizer's, or that of other parameters.
    """
    if "_trainer" not in state:
        raise ConfigError(
            "it has no state of an optimizer: Detectron2 v0.6's own trainer leaves it out"
        )
    saved, here = state["_trainer"]["optimizer"]["param_groups"], optimizer.param_groups
    if _name(saved[0]) != _name(here[0]):
        names = _name(saved[0]), _name(here[0])
        raise ConfigError("its SOLVER.OPTIMIZER was {}, and now is {}".format(*names))
    before, now = ([len(group["params"]) for group in groups] for groups in (saved, here))
    if sum(before) != sum(now):
        raise ConfigError("its optimizer had other parameters: other layers were frozen")
    if before != now:
        raise ConfigError(
            "its optimizer had its parameters in other groups: SOLVER.BIAS_LR_FACTOR or "
            "SOLVER.WEIGHT_DECAY_BIAS was another"
        )


def follow_config(optimizer: Optimizer, scheduler: LRScheduler, settings: list[dict]) -> None:
    """Learning rate, its schedule, momentum and weight decay are the config's, which may be others
    than those of the checkpoint: whoever lowers ``SOLVER.BASE_LR`` and resumes means it. What has
    not changed stays as it is, to the last bit.

    Args:
        optimizer: with the checkpoint's state.
        scheduler: likewise; it multiplies each group's initial rate.
        settings: :func:`settings_of` the optimizer before that state was loaded.
    """
    changed = set()
    for group, now in zip(optimizer.param_groups, settings, strict=True):
        changed |= {f"{k} {group[k]:g} -> {now[k]:g}" for k in now if group[k] != now[k]}
        group.update(now)
    scheduler.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
    # Of this one the rate is a function of the iteration; behind its end, where a length was cut
    # short, no step is left.
    if isinstance(scheduler, LRMultiplier) and scheduler.last_epoch <= scheduler._max_iter:
        for group, rate in zip(optimizer.param_groups, scheduler.get_lr(), strict=True):
            group["lr"] = rate
    if changed:
        logger.warning("As the config says, not the checkpoint: %s", ", ".join(sorted(changed)))


def _name(group: Mapping) -> str:
    return "ADAMW" if "betas" in group else "SGD"
