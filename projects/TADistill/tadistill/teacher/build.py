"""A teacher from a config: built, loaded whole, checked, without a trace in the random state."""

import torch
from detectron2.config import CfgNode
from detectron2.modeling import META_ARCH_REGISTRY, GeneralizedRCNN, build_model

from ..backbones import without_timm_weights
from ..building import naming_what_stops
from ..errors import ConfigError
from ..options import TeacherOptions
from .config import KEY, teacher_config, teacher_weights
from .device import check_speedups
from .frozen import FrozenTeacher
from .trained import trained_teacher


def build_teacher(cfg: CfgNode) -> FrozenTeacher:
    """The teacher of ``MODEL.TADISTILL.TEACHER``, on ``MODEL.DEVICE``.

    Its random initialisation, overwritten by the weights anyway, is drawn from a forked random
    state: a student is initialised and trained on the same numbers with and without a teacher.

    Args:
        cfg: the student's config.

    Raises:
        ConfigError: naming the config key, if the teacher cannot be found, is not loaded whole, or
            does not fit the student (class count, kind of model, ROI heads, channel order), or if
            this machine cannot do what is to make it faster.
    """
    teacher_cfg = teacher_config(cfg)
    weights = teacher_weights(cfg)
    options = TeacherOptions.from_cfg(cfg.MODEL.TADISTILL.TEACHER)
    check_speedups(options, torch.device(cfg.MODEL.DEVICE))
    _check_architecture(teacher_cfg)
    _check_class_count(cfg, teacher_cfg)
    named = naming_what_stops(teacher_cfg, f"{KEY}.CONFIG_FILE")
    with torch.random.fork_rng(devices=[]), named:
        model = build_model(without_timm_weights(teacher_cfg))
    return trained_teacher(
        model,
        weights,
        cfg.INPUT.FORMAT,
        options,
        key=f"{KEY}.WEIGHTS",
        advice=f"Use the weights that were trained with {KEY}.CONFIG_FILE, or say in {KEY}.OPTS "
        "what differs (class count, backbone, width).",
    )


def _check_architecture(teacher_cfg: CfgNode) -> None:
    name = teacher_cfg.MODEL.META_ARCHITECTURE
    with naming_what_stops(teacher_cfg, f"{KEY}.CONFIG_FILE"):
        model = META_ARCH_REGISTRY.get(name)
    # What a function makes is looked at when it is built.
    if isinstance(model, type) and not issubclass(model, GeneralizedRCNN):
        raise ConfigError(
            f"{KEY}.CONFIG_FILE describes a {name}; the teacher must be a "
            "GeneralizedRCNN (Faster R-CNN), whose box head answers for the student's proposals"
        )


def _check_class_count(cfg: CfgNode, teacher_cfg: CfgNode) -> None:
    student = cfg.MODEL.ROI_HEADS.NUM_CLASSES
    teacher = teacher_cfg.MODEL.ROI_HEADS.NUM_CLASSES
    if student != teacher:
        raise ConfigError(
            f"the teacher has {teacher} classes and the student {student} "
            "(MODEL.ROI_HEADS.NUM_CLASSES): their logits cannot be compared. Fine-tune the "
            "teacher on the student's classes first"
        )
