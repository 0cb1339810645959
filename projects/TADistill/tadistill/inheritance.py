"""An inheriting start: the student begins with the teacher's neck and heads, where they fit."""

import logging
from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .errors import ConfigError
from .parallel import unwrapped
from .tensor_names import plainly_named

logger = logging.getLogger(__name__)

KEY = "MODEL.TADISTILL.INHERIT"


def inherit_from_teacher(model: nn.Module) -> list[str]:
    """Copies the teacher's tensors into the student's neck (the FPN), RPN and ROI heads, layer by
    layer: one is inherited if all its tensors, buffers of its norm included, have the name and the
    shape of the teacher's. The backbone's ``bottom_up`` is left as it is.

    Names and shapes are all that is compared: where the models' anchors, ``BBOX_REG_WEIGHTS`` or
    the strides behind the levels' names differ, a layer of the same shape means something else.
    Call it once, after ``MODEL.WEIGHTS`` is loaded and before the first step, in each process.
    Source: the "inheriting strategy" in Z. Yang et al., Focal and Global Knowledge Distillation
    for Detectors, CVPR 2022. That a layer comes whole or not at all is ours: the biases of two
    predictors have the same shape whatever they are predicted from.

    Args:
        model: a :class:`TADistillRCNN`; in a ``DistributedDataParallel`` or not.

    Returns:
        The names of the tensors that were copied.

    Raises:
        ConfigError: if the model has no teacher, or no layer of it fits.
    """
    model = unwrapped(model)
    if getattr(model, "teacher", None) is None:
        raise ConfigError(f"{KEY}: there is no teacher to inherit from (MODEL.TADISTILL.ENABLED)")
    student, teacher = (plainly_named(m.state_dict()) for m in (model.student, model.teacher))

    layers = defaultdict(list)
    for name in filter(_is_inheritable, student):
        layers[name.rpartition(".")[0].removesuffix(".norm")].append(name)

    inherited, left = [], []
    for names in layers.values():
        misfit = next(filter(None, (_misfit(name, student, teacher) for name in names)), None)
        if misfit:
            left.append(misfit)
        else:
            inherited += names
    total = sum(map(len, layers.values()))
    if not inherited:
        raise ConfigError(
            f"{KEY} is True, but no layer of the student's neck, RPN and ROI heads has the "
            f"teacher's shape: {', '.join(left)}. Set it to False"
        )
    with torch.no_grad():
        for name in inherited:
            student[name].copy_(teacher[name])
    model.has_inherited = True
    logger.info(
        "The student inherits %d of the %d tensors of its neck, RPN and ROI heads from the teacher"
        "%s",
        len(inherited),
        total,
        f"; but no layer with {', '.join(left)}" if left else "",
    )
    return inherited


def _is_inheritable(name: str) -> bool:
    in_neck = name.startswith("backbone.") and not name.startswith("backbone.bottom_up.")
    return in_neck or name.startswith(("proposal_generator.", "roi_heads."))


def _misfit(name: str, student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> str | None:
    """What keeps a tensor from being the teacher's; None if nothing does."""
    if name not in teacher:
        return f"{name} (not in the teacher)"
    here, there = tuple(student[name].shape), tuple(teacher[name].shape)
    return f"{name} ({here}, in the teacher {there})" if here != there else None
