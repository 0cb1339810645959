"""Detectron2's DefaultTrainer, with what a distilled training adds to it."""

import errno
import logging
import os
import weakref

import torch.distributed as dist
from detectron2.data import MetadataCatalog
from detectron2.engine import (
    DefaultTrainer,
    HookBase,
    SimpleTrainer,
    TrainerBase,
    create_ddp_model,
)
from detectron2.evaluation import COCOEvaluator, PascalVOCDetectionEvaluator
from detectron2.utils import comm
from torch.nn.parallel import DistributedDataParallel

from ..architecture import is_distilled
from ..balance import forget_balance
from ..building import naming_what_stops
from ..checkpoint import TrainingCheckpointer
from ..data import ResumableLoader
from ..errors import ConfigError
from ..export import export_student
from ..hooks import DistillationDecayHook
from ..inheritance import inherit_from_teacher
from ..parallel import unwrapped
from ..randomness import SeedStepsHook
from .nonfinite import LastLosses, explain_nonfinite
from .optimizer import build_optimizer
from .processes import on_gpu
from .resuming import check_optimizer, follow_config, settings_of
from .smoothing import SmoothingHook

logger = logging.getLogger(__name__)

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class TADistillTrainer(DefaultTrainer):
    """Adds the decay of the distillation weight, ``SOLVER.OPTIMIZER``, COCO evaluation, and at the
    end ``student_final.pth`` and ``student_final.yaml`` in ``OUTPUT_DIR``. Trains a plain
    ``GeneralizedRCNN`` (a teacher, say) just as well. Runs no code of the weights that it reads.

    A training that was interrupted and resumed ends, on a CPU bit for bit, as it would have without
    the interruption: it sees the same images, drawn and augmented by the same random numbers.

    Attributes:
        seed: of the samplers, the augmentations and the steps. Drawn when the trainer is built
            (after Detectron2's ``default_setup``: a function of ``cfg.SEED``), then kept in the
            checkpoints.
    """

    def __init__(self, cfg):
        if comm.get_world_size() == 1 or on_gpu(cfg):
            super().__init__(cfg)
        else:
            self._init_on_cpus(cfg)
        self.seed = comm.shared_random_seed()
        self._last = LastLosses(self._trainer.model)

    def _init_on_cpus(self, cfg):
        """``DefaultTrainer.__init__``, whose model in several processes is on a GPU each."""
        TrainerBase.__init__(self)
        cfg = self.auto_scale_workers(cfg, comm.get_world_size())
        model = self.build_model(cfg)
        optimizer = self.build_optimizer(cfg, model)
        data_loader = self.build_train_loader(cfg)
        model = create_ddp_model(model, device_ids=None, broadcast_buffers=False)
        self._trainer = SimpleTrainer(model, data_loader, optimizer)
        self.scheduler = self.build_lr_scheduler(cfg, optimizer)
        self.start_iter, self.max_iter = 0, cfg.SOLVER.MAX_ITER
        self.cfg = cfg
        self.register_hooks(self.build_hooks())

    @classmethod
    def build_train_loader(cls, cfg):
        with naming_what_stops(cfg, "the config", "a data loader"):
            return ResumableLoader.from_cfg(cfg)

    def train(self):
        """Trains from ``start_iter`` on.

        Raises:
            OSError: if the disk is full; also of an image that cannot be read.
            FloatingPointError: see :meth:`run_step`.
        """
        loader = self._trainer.data_loader
        if isinstance(loader, ResumableLoader):  # and not that of a subclass
            loader.start_at(self.start_iter, self.seed)
        try:
            return super().train()
        except OSError as error:
            if error.errno not in _DISK_FULL:
                raise
            raise OSError(
                error.errno,
                f"the disk of OUTPUT_DIR {self.cfg.OUTPUT_DIR} is full ({error.strerror}). "
                "What is written there already is whole: make room, and continue with --resume",
            ) from error

    def before_train(self):
        """As in ``DefaultTrainer``.

        Raises:
            ConfigError: if the state of a hook could not be read from a checkpoint again.
        """
        super().before_train()  # in which some hooks make theirs
        self.checkpointer.check_states()

    @classmethod
    def test(cls, cfg, model, evaluators=None):
        """As ``DefaultTrainer.test``, of the model that a checkpoint has: the main process's. The
        others' differ from it in the running statistics of BatchNorm, which each process gathers
        from its own images.
        """
        if isinstance(model, DistributedDataParallel):
            for buffer in model.module.buffers():
                dist.broadcast(buffer, src=0)
        return super().test(cfg, model, evaluators)

    @classmethod
    def build_model(cls, cfg):
        with naming_what_stops(cfg, "the config"):
            return super().build_model(cfg)

    @classmethod
    def build_optimizer(cls, cfg, model):
        with naming_what_stops(cfg, "SOLVER", "an optimizer"):
            return build_optimizer(cfg, model)

    @classmethod
    def build_lr_scheduler(cls, cfg, optimizer):
        with naming_what_stops(cfg, "SOLVER", "a learning rate's schedule"):
            return super().build_lr_scheduler(cfg, optimizer)

    @classmethod
    def build_evaluator(cls, cfg, dataset_name, output_folder=None):
        if MetadataCatalog.get(dataset_name).get("evaluator_type") == "pascal_voc":
            return PascalVOCDetectionEvaluator(dataset_name)
        if output_folder is None:
            several = len(cfg.DATASETS.TEST) > 1
            output_folder = os.path.join(cfg.OUTPUT_DIR, "inference", dataset_name * several)
        # pycocotools' scores, which every build of Detectron2 has.
        return COCOEvaluator(dataset_name, output_dir=output_folder, use_fast_impl=False)

    def resume_or_load(self, resume=True):
        resumed = resume and self.checkpointer.has_checkpoint()
        super().resume_or_load(resume)
        model = unwrapped(self._trainer.model)
        if resumed or getattr(model, "teacher", None) is None:  # there is none in a plain training
            return
        forget_balance(model)  # MODEL.WEIGHTS may be of another distillation
        if self.cfg.MODEL.TADISTILL.INHERIT:
            inherit_from_teacher(model)

    def build_hooks(self):
        # Here, and not behind DefaultTrainer.__init__: one of the hooks is to save with it.
        self.checkpointer = TrainingCheckpointer(
            self._trainer.model, self.cfg.OUTPUT_DIR, trainer=weakref.proxy(self)
        )
        hooks = super().build_hooks()
        # Behind the iteration timer, which wants to be first, and before the writers.
        hooks[1:1] = [SeedStepsHook(), SmoothingHook(), ExportHook(self.cfg)]
        if is_distilled(self.cfg):
            hooks[1:1] = [DistillationDecayHook(self.cfg)]
        return hooks

    def run_step(self):
        """One step.

        Raises:
            FloatingPointError: naming the terms, the iteration and the images, if a loss is not
                finite. The batch is saved in ``OUTPUT_DIR``.
        """
        self._last.clear()
        try:
            super().run_step()
        except FloatingPointError as error:
            batch = getattr(self._trainer.data_loader, "current", None)
            raise explain_nonfinite(
                error, self.iter, self._last.losses, batch, self.cfg.OUTPUT_DIR
            ) from error

    def state_dict(self):
        # Detectron2 v0.6 leaves the optimizer out of its checkpoints, so that a resumed training
        # would start with no momentum; its main has it under this name.
        return {**super().state_dict(), "_trainer": self._trainer.state_dict(), "seed": self.seed}

    def load_state_dict(self, state_dict):
        optimizer = self._trainer.optimizer
        check_optimizer(state_dict, optimizer)
        settings = settings_of(optimizer)
        # Of a training without mixed precision there is no scale of its gradients to go on with.
        inner = {**self._trainer.state_dict(), **state_dict["_trainer"]}
        super().load_state_dict({**state_dict, "_trainer": inner})
        self._trainer.load_state_dict(inner)  # which Detectron2 v0.6 does not do
        follow_config(optimizer, self.scheduler, settings)
        self.seed = state_dict.get("seed", self.seed)  # which earlier checkpoints do not have


class ExportHook(HookBase):
    """Writes the plain student once the training has come to its end."""

    def __init__(self, cfg):
        self._cfg = cfg

    def after_train(self):
        # A run that was resumed after its last step is one past the end.
        if self.trainer.iter >= self.trainer.max_iter:
            try:
                export_student(self.trainer.model, self._cfg, self._cfg.OUTPUT_DIR)
            except ConfigError as error:  # the last evaluation is still to come
                logger.error("There is no student_final.pth: %s", error)
