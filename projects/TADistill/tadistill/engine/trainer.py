"""Detectron2's DefaultTrainer, with what a distilled training adds to it."""

import os

from detectron2.engine import DefaultTrainer, HookBase
from detectron2.evaluation import COCOEvaluator
from detectron2.utils import comm

from ..export import export_student
from ..hooks import DistillationDecayHook
from .optimizer import build_optimizer


class TADistillTrainer(DefaultTrainer):
    """Adds the decay of the distillation weight, ``SOLVER.OPTIMIZER``, COCO evaluation, and at the
    end ``student_final.pth`` and ``student_final.yaml`` in ``OUTPUT_DIR``. Trains a plain
    ``GeneralizedRCNN`` (a teacher, say) just as well.
    """

    @classmethod
    def build_optimizer(cls, cfg, model):
        return build_optimizer(cfg, model)

    @classmethod
    def build_evaluator(cls, cfg, dataset_name, output_folder=None):
        # pycocotools' scores, which every build of Detectron2 has.
        return COCOEvaluator(
            dataset_name,
            output_dir=output_folder or os.path.join(cfg.OUTPUT_DIR, "inference"),
            use_fast_impl=False,
        )

    def build_hooks(self):
        hooks = super().build_hooks()
        # Behind the iteration timer, which wants to be first, and before the writers.
        hooks[1:1] = [ExportHook(self.cfg)]
        if self.cfg.MODEL.META_ARCHITECTURE == "TADistillRCNN":
            hooks[1:1] = [DistillationDecayHook(self.cfg)]
        return hooks

    # Detectron2 v0.6 leaves the optimizer out of its checkpoints; its main has it under this name.
    # Without it, a resumed training would start with no momentum.

    def state_dict(self):
        state = super().state_dict()
        state.setdefault("_trainer", self._trainer.state_dict())
        return state

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        if "_trainer" in state_dict:  # not so in a checkpoint of v0.6's own trainer
            self._trainer.load_state_dict(state_dict["_trainer"])


class ExportHook(HookBase):
    """Writes the plain student once the training has come to its end."""

    def __init__(self, cfg):
        self._cfg = cfg

    def after_train(self):
        finished = self.trainer.iter == self.trainer.max_iter
        if finished and comm.is_main_process():
            model = getattr(self.trainer.model, "module", self.trainer.model)
            export_student(model, self._cfg, self._cfg.OUTPUT_DIR)
