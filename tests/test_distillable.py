"""What cannot be distilled is told in words that say what to do."""

from detectron2.modeling import ROI_HEADS_REGISTRY, StandardROIHeads
from tiny import build, plain_cfg
from torch import nn

from tadistill.box_head import roi_losses, run_box_head
from tadistill.distillable import why_not_distillable, why_not_trainable


def heads(*opts):
    return build(plain_cfg(*opts)).roi_heads


class HeadsWithAForward(StandardROIHeads):
    def _forward_box(self, features, proposals):
        return super()._forward_box(features, proposals)


def test_standard_heads_are():
    assert why_not_distillable(heads()) is None


def test_a_cascade_has_several_predictors():
    cascade = heads(
        *("MODEL.ROI_HEADS.NAME", "CascadeROIHeads"),
        *("MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", True),
        *("MODEL.ROI_HEADS.IOU_THRESHOLDS", [0.5]),
    )
    assert "CascadeROIHeads" in why_not_distillable(cascade)
    assert "cascade has several" in why_not_distillable(cascade)


def test_a_teacher_that_was_trained_on_moved_proposals_does_not_move_them_any_more():
    assert why_not_distillable(heads("MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES", True)) is None


def test_sigmoids_are_named_with_their_key():
    roi_heads = heads()
    roi_heads.box_predictor.use_sigmoid_ce = True  # an option of newer Detectron2
    assert "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE" in why_not_distillable(roi_heads)


def test_rotated_boxes_are_not_compared():
    roi_heads = heads()
    roi_heads.box_predictor.box2box_transform.weights = (10, 10, 5, 5, 1)
    assert "rotated" in why_not_distillable(roi_heads)


def test_a_predictor_of_another_kind():
    roi_heads = heads()
    roi_heads.box_predictor = nn.Linear(1, 1)
    assert "Linear" in why_not_distillable(roi_heads)


def test_heads_without_a_box_branch():
    assert "no box branch" in why_not_distillable(nn.Identity())


def test_heads_with_a_forward_of_their_own_until_they_register_it():
    ROI_HEADS_REGISTRY._do_register("HeadsWithAForward", HeadsWithAForward)
    try:
        roi_heads = heads("MODEL.ROI_HEADS.NAME", "HeadsWithAForward")
    finally:
        ROI_HEADS_REGISTRY._obj_map.pop("HeadsWithAForward")
    reason = why_not_distillable(roi_heads)
    assert "HeadsWithAForward has a _forward_box of its own" in reason
    assert "register run_box_head" in reason
    own = lambda roi_heads, *inputs: None  # noqa: E731
    run_box_head.register(HeadsWithAForward, own)
    assert why_not_distillable(roi_heads) is None
    reason = why_not_trainable(roi_heads)
    assert "run_box_head is registered for HeadsWithAForward, but not roi_losses" in reason
    roi_losses.register(HeadsWithAForward, own)
    assert why_not_trainable(roi_heads) is None


def test_standard_heads_have_their_losses():
    assert why_not_trainable(heads()) is None
