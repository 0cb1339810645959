"""Whether a student can be distilled, and by this teacher: said when the model is built."""

from collections.abc import Callable, Iterable

from detectron2.modeling import GeneralizedRCNN
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.roi_heads import FastRCNNOutputLayers, StandardROIHeads
from torch import nn

from .balance import NOTHING_TO_MEASURE
from .box_head import roi_losses, run_box_head
from .errors import ConfigError
from .options import DistillationOptions
from .parallel import unwrapped


def check_forward(student: type, ours: type) -> None:
    """Whether a distilled step, which takes the place of ``GeneralizedRCNN.forward``, would pass by
    what another class has there. One with a ``forward`` of its own has seen to that.

    Args:
        student: the class of the model.
        ours: ``TADistillRCNN``, from which it is derived.

    Raises:
        ConfigError: naming the class whose ``forward`` it is.
    """
    behind = student.__mro__[student.__mro__.index(ours) + 1 :]
    passed_by = next(model for model in behind if "forward" in vars(model))
    if student.forward is ours.forward and passed_by is not GeneralizedRCNN:
        raise ConfigError(
            f"{student.__name__} inherits {passed_by.__name__}.forward, which a distilled step "
            f"would pass by: what it adds belongs in a forward of {student.__name__} itself, "
            "around super().forward(batched_inputs)"
        )


def check_pair(
    student: GeneralizedRCNN, teacher: GeneralizedRCNN, options: DistillationOptions
) -> None:
    """Whether the two have what the terms compare, and the proposals that are asked for.

    Raises:
        ConfigError: naming what is missing, or what differs.
    """
    if student.proposal_generator is None:
        raise ConfigError(
            "the student has no RPN (MODEL.PROPOSAL_GENERATOR.NAME): TADistill shares the "
            "proposals of one"
        )
    if options.needs_teacher_proposals and teacher.proposal_generator is None:
        raise ConfigError(
            'the teacher has no RPN, so MODEL.TADISTILL.PROPOSALS.SOURCE must be "student", not '
            f"{options.sharing.source!r}"
        )
    problem = why_not_distillable(student.roi_heads) or why_not_trainable(student.roi_heads)
    if problem:
        raise ConfigError(f"the student cannot be distilled: {problem}")
    if getattr(student.roi_heads, "train_on_pred_boxes", False):
        raise ConfigError(
            "the student cannot be distilled: MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES moves its "
            "proposals in training, after its box head has answered for them; set it to False"
        )
    if options.box.weight > 0:
        _check_box_coding(student.roi_heads.box_predictor.box2box_transform)
    student_k, teacher_k = student.roi_heads.num_classes, teacher.roi_heads.num_classes
    if student_k != teacher_k:
        raise ConfigError(
            f"the teacher has {teacher_k} classes and the student {student_k}: their logits "
            "cannot be compared"
        )


def check_channel_order(student: GeneralizedRCNN, expected: str) -> None:
    """Whether the student's images have the channel order in which its teacher expects them.

    Raises:
        ConfigError: naming both orders.
    """
    if student.input_format not in (None, expected):
        raise ConfigError(
            f"the student's input_format is {student.input_format!r}, but its teacher expects "
            f"images in {expected!r}: give the teacher the student's format (student_format)"
        )


def check_anchors(student: GeneralizedRCNN, levels: Iterable[str]) -> None:
    """Whether the student's RPN has anchors on ``levels``, for the mask "anchor".

    Raises:
        ConfigError: naming the levels without.
    """
    without = [name for name in levels if name not in student.proposal_generator.in_features]
    if without:
        raise ConfigError(
            "MODEL.TADISTILL.FEATURE.MASK is 'anchor', but the student's RPN has no anchors on "
            f"{without} (MODEL.RPN.IN_FEATURES); leave these levels out of "
            "MODEL.TADISTILL.FEATURE.LEVELS"
        )


def check_balance(student: GeneralizedRCNN) -> None:
    """Whether there are gradients for the balance to measure.

    Raises:
        ConfigError: if all of the backbone is frozen.
    """
    if not any(parameter.requires_grad for parameter in student.backbone.parameters()):
        raise ConfigError(NOTHING_TO_MEASURE)


def why_not_trainable(roi_heads: nn.Module) -> str | None:
    """What keeps the losses of a student's ROI heads from being known, likewise: where its box head
    is registered, Detectron2's own losses need not be all of its.
    """
    losses_of = _registered_for(roi_losses, roi_heads)
    if losses_of not in (object, StandardROIHeads):
        return None
    if losses_of is _registered_for(run_box_head, roi_heads):
        return None
    return (
        f"run_box_head is registered for {type(roi_heads).__name__}, but not roi_losses, which a "
        "student needs too (tadistill/box_head.py)"
    )


def why_not_distillable(roi_heads: nn.Module) -> str | None:
    """What keeps these ROI heads from taking part, as an error message; None if nothing does."""
    name = type(roi_heads).__name__
    if run_box_head.dispatch(type(roi_heads)) is run_box_head.dispatch(object):
        return f"{name} has no box branch that TADistill knows; use StandardROIHeads"

    predictor = unwrapped(getattr(roi_heads, "box_predictor", None))
    if not isinstance(predictor, FastRCNNOutputLayers):
        return (
            f"{name} predicts boxes with {type(predictor).__name__}, not with one "
            "FastRCNNOutputLayers (a cascade has several); use StandardROIHeads"
        )
    if len(getattr(predictor.box2box_transform, "weights", ())) == 5:
        return f"{name} predicts rotated boxes; TADistill compares axis-aligned ones"
    if getattr(predictor, "use_sigmoid_ce", False):
        return (
            "its classes are sigmoids (MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE), which have no softmax "
            "to compare; set it to False"
        )
    if run_box_head.dispatch(type(roi_heads)) is run_box_head.dispatch(StandardROIHeads):
        for method in ("forward", "_forward_box"):
            if getattr(type(roi_heads), method) is not getattr(StandardROIHeads, method):
                return (
                    f"{name} has a {method} of its own, which a distilled step would pass by; "
                    "register run_box_head and roi_losses for it (tadistill/box_head.py)"
                )
    return None


def _check_box_coding(transform) -> None:
    """Whether the student codes its boxes as :func:`tadistill.box_coding.encode_boxes` does. The
    teacher may do it in any way: it decodes its own.
    """
    for method in ("get_deltas", "apply_deltas"):
        if getattr(type(transform), method, None) is not getattr(Box2BoxTransform, method):
            raise ConfigError(
                f"the student codes its boxes with {type(transform).__name__}, and TADistill, "
                "which gives it the teacher's, as Box2BoxTransform does: use that, or set "
                "MODEL.TADISTILL.BOX.WEIGHT to 0.0"
            )


def _registered_for(function: Callable, roi_heads: nn.Module) -> type:
    """The class by which a ``singledispatch`` function knows these ROI heads."""
    return next(known for known in type(roi_heads).__mro__ if known in function.registry)
