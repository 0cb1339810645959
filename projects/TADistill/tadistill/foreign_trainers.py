"""What a config asks of its trainer, which a trainer that is not ours may leave undone."""

import logging

import torch
from detectron2.config import CfgNode
from detectron2.engine import TrainerBase

from .errors import ConfigError
from .parallel import unwrapped

logger = logging.getLogger(__name__)


def check_trainer(trainer: TrainerBase) -> None:
    """Before the first step of a trainer whose model is a ``TADistillRCNN``.

    An ``INHERIT`` that it has not seen to is warned of. Detectron2's smaller trainers have no
    ``cfg``, so that nothing else can be missing.

    Raises:
        ConfigError: if ``SOLVER.OPTIMIZER`` is "ADAMW" and the optimizer is SGD, for which the
            learning rate is not meant.
    """
    if trainer.start_iter == 0 and unwrapped(trainer.model).is_yet_to_inherit:
        logger.warning(
            "MODEL.TADISTILL.INHERIT is True, but this trainer has not called "
            "tadistill.inherit_from_teacher(model), and the student starts from its own weights"
        )
    cfg = getattr(trainer, "cfg", None)
    if not isinstance(cfg, CfgNode):
        return
    if cfg.SOLVER.get("OPTIMIZER") == "ADAMW" and isinstance(_optimizer(trainer), torch.optim.SGD):
        raise ConfigError(
            "SOLVER.OPTIMIZER is 'ADAMW', but this trainer has built SGD, as Detectron2's "
            "always does: let its build_optimizer return "
            "tadistill.engine.build_optimizer(cfg, model), take tadistill.engine.TADistillTrainer, "
            "or set SOLVER.OPTIMIZER to 'SGD' and SOLVER.BASE_LR to a rate for it"
        )


def _optimizer(trainer: TrainerBase) -> torch.optim.Optimizer | None:
    """Detectron2's ``DefaultTrainer`` keeps it in a trainer inside."""
    return getattr(getattr(trainer, "_trainer", trainer), "optimizer", None)
