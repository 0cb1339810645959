"""The Detectron2 hook that drives w(t) and writes the gates' shares and the terms' scales."""

from collections.abc import Sequence

from detectron2.config import configurable
from detectron2.engine import HookBase

from .decay import build_schedule, decay_weight
from .errors import ConfigError
from .foreign_trainers import check_trainer
from .parallel import unwrapped


class DistillationDecayHook(HookBase):
    """Sets ``model.distillation_weight`` to w(t) before each step.

    The weight is computed from the trainer's iteration alone, so nothing is stored in a
    checkpoint and a resumed training continues where it was.

    After each step it writes to the event storage ``tad/decay`` and the share of regions that
    each gate gave to the teacher (``tad/gate_logit``, ``tad/gate_box``, ``tad/gate_feature``); with
    ``BALANCE`` also the scale of each term (``tad/balance_logit``, …). They are written here, not
    in the model, so that the forward pass does not wait for them. In a distributed training the
    shares are those of the main process's images.

    Before the first step it looks at what the trainer has left undone of its config:
    :mod:`tadistill.foreign_trainers`.

    Works with any trainer of Detectron2: ``trainer.register_hooks([DistillationDecayHook(cfg)])``.
    Registered behind the writers, as by that line, its scalars reach ``metrics.json`` on lines of
    their own.
    """

    @configurable
    def __init__(
        self, *, schedule: str = "linear", steps: Sequence[float] = (), gamma: float = 0.1
    ):
        """
        Args:
            schedule: "linear", "cosine", "step" or "constant".
            steps: for "step", the fractions of the training at which w is multiplied by gamma.
            gamma: for "step".
        """
        self._schedule = build_schedule(schedule, steps, gamma)

    @classmethod
    def from_config(cls, cfg):
        decay = cfg.MODEL.TADISTILL.DECAY
        return {"schedule": decay.SCHEDULE, "steps": decay.STEPS, "gamma": decay.GAMMA}

    def before_train(self):
        if not hasattr(self._model, "distillation_weight"):
            raise ConfigError(
                "DistillationDecayHook was given a trainer of a "
                f"{type(self._model).__name__}; it sets the weight of a TADistillRCNN. Leave the "
                'hook out, or set MODEL.META_ARCHITECTURE to "TADistillRCNN"'
            )
        check_trainer(self.trainer)

    def before_step(self):
        self._model.distillation_weight = decay_weight(
            self._schedule, self.trainer.iter, self.trainer.max_iter
        )

    def after_step(self):
        if self._model.teacher is None:  # distillation is off: nothing decays
            return
        storage = self.trainer.storage
        storage.put_scalar("tad/decay", self._model.distillation_weight, smoothing_hint=False)
        for name, share in self._model.gate_shares.items():
            storage.put_scalar(f"tad/gate_{name}", share)
        for name, scale in self._model.balance_scales.items():
            storage.put_scalar(f"tad/balance_{name}", scale)

    @property
    def _model(self):
        return unwrapped(self.trainer.model)
