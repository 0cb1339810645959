"""COCO evaluation of the student alone, and of the teacher alone."""

import json
import math
import os
from collections import OrderedDict

from detectron2.config import CfgNode
from detectron2.evaluation import verify_results
from detectron2.utils import comm
from torch import nn

from ..backbones import without_timm_weights
from ..checkpoint import TrainingCheckpointer
from ..data import Use
from ..errors import ConfigError
from ..notices import log_notices
from ..teacher import build_teacher
from ..weights import load_all_weights
from .checks import check_datasets, check_device
from .teacher_classes import check_teacher_classes
from .trainer import TADistillTrainer


def evaluate_student(cfg: CfgNode, checkpoint_dir: str, resume: bool = False) -> OrderedDict:
    """AP of the student on ``DATASETS.TEST``. No teacher is built.

    The results are returned, printed, and written to ``results.json`` in ``OUTPUT_DIR``.

    Args:
        cfg: the student's config; ``MODEL.WEIGHTS`` may be a training checkpoint or a plain
            student.
        checkpoint_dir: with ``resume``, where the last checkpoint lies.
        resume: take the last checkpoint instead of ``MODEL.WEIGHTS``.

    Raises:
        ConfigError: naming the config key; also if the file lacks a tensor of the student.
    """
    _check(cfg)
    path, source = cfg.MODEL.WEIGHTS, "MODEL.WEIGHTS"
    checkpoints = TrainingCheckpointer(None, checkpoint_dir) if resume else None
    if checkpoints is not None and checkpoints.has_checkpoint():
        path, source = checkpoints.get_checkpoint_file(), "--resume"
    if not path:
        raise ConfigError(
            "MODEL.WEIGHTS is empty: add it to the command, as in MODEL.WEIGHTS "
            "output/student_final.pth, or --resume for the last checkpoint in OUTPUT_DIR"
        )
    return _test(cfg, load_student(cfg, path, source))


def load_student(cfg: CfgNode, path: str, source: str) -> nn.Module:
    """The student of ``cfg`` without a teacher, all of it from ``path``.

    Args:
        cfg: the student's config.
        path: a training checkpoint or a plain student.
        source: the config key or argument that named it, for the error message.

    Raises:
        ConfigError: if the file lacks a tensor of the student.
    """
    cfg = without_timm_weights(cfg)
    cfg.MODEL.TADISTILL.ENABLED = False
    model = TADistillTrainer.build_model(cfg)
    load_all_weights(model, path, source, "Use the config that these weights were trained with.")
    return model


def evaluate_teacher(cfg: CfgNode) -> OrderedDict:
    """AP of the teacher on ``DATASETS.TEST``, on the images as the student sees them: what the
    student can expect to hear.
    """
    _check(cfg)
    log_notices([check_teacher_classes(cfg, cfg.DATASETS.TEST[0])])
    return _test(cfg, build_teacher(cfg).detect)


def _test(cfg: CfgNode, model) -> OrderedDict:
    results = TADistillTrainer.test(cfg, model)
    if comm.is_main_process():
        with open(os.path.join(cfg.OUTPUT_DIR, "results.json"), "w") as f:
            json.dump(_without_nan(results), f, indent=2, allow_nan=False)
        verify_results(cfg, results)
    return results


def _without_nan(results):
    """AP is NaN where there is no ground truth (no large objects, say): null in JSON."""
    if isinstance(results, dict):
        return {key: _without_nan(value) for key, value in results.items()}
    return None if isinstance(results, float) and math.isnan(results) else results


def _check(cfg: CfgNode) -> None:
    check_device(cfg, comm.get_local_size())
    if not cfg.DATASETS.TEST:
        raise ConfigError("DATASETS.TEST is empty: name a dataset to evaluate on")
    use = Use.in_test(cfg, without_boxes=True)
    log_notices(check_datasets(cfg, {"DATASETS.TEST": (cfg.DATASETS.TEST, use)}))
    if cfg.TEST.AUG.ENABLED:
        raise ConfigError(
            "TEST.AUG.ENABLED is True: test-time augmentation is left to Detectron2's own "
            "train_net.py, which opens student_final.yaml; set it to False"
        )
