"""The weight w(t), and the gates' shares."""

import torch
from detectron2.utils.events import EventStorage
from distilled import INSTANCE_GATE, check_gradients, distilled
from tiny import batch, build, same_tensors, step, student_cfg

HEADS_WITHOUT_P2 = (
    *("MODEL.RPN.IN_FEATURES", ["p3", "p4", "p5", "p6"]),
    *("MODEL.ANCHOR_GENERATOR.SIZES", [[28], [36], [64], [96]]),
    *("MODEL.ROI_HEADS.IN_FEATURES", ["p3", "p4", "p5"]),
)


class TestTheWeight:
    def test_that_nobody_sets_counts_as_one_and_is_warned_of_once(
        self, teacher_files, tadistill_log
    ):
        model, told = build(student_cfg(teacher_files)), distilled(teacher_files)
        assert same_tensors(step(model, batch()), step(told, batch()))
        step(model, batch())
        warnings = [r for r in tadistill_log.records if r.levelname == "WARNING"]
        assert len(warnings) == 1
        assert "DistillationDecayHook" in warnings[0].getMessage()

    def test_is_not_missed_without_a_teacher(self, tadistill_log):
        step(build(student_cfg(None)), batch())
        assert not tadistill_log.records


class TestAtAWeightOfZero:
    """What another step reaches by the feature term alone has a gradient, for DDP's sake."""

    def test_every_parameter_has_a_gradient(self, teacher_files):
        model = distilled(teacher_files, *HEADS_WITHOUT_P2)
        for model.distillation_weight in (1.0, 0.0):
            step(model, batch())
            check_gradients(model)

    def test_levels_that_no_head_reads_have_a_gradient_of_zero(self, teacher_files):
        model = distilled(teacher_files, *HEADS_WITHOUT_P2, weight=0.0)
        step(model, batch())
        assert not model.backbone.fpn_output2.weight.grad.any()
        assert model.backbone.fpn_output3.weight.grad.any()


def test_gate_shares_are_detached_scalars_between_zero_and_one(teacher_files):
    model = distilled(teacher_files, *INSTANCE_GATE)
    step(model, batch())
    assert set(model.gate_shares) == {"feature", "logit", "box"}
    for share in model.gate_shares.values():
        assert share.shape == ()
        assert not share.requires_grad
        assert 0 < share < 1


def test_losses_without_gradients_leave_what_is_logged_of_the_step(teacher_files):
    """As a hook looks at them on validation images, between a step and the log."""
    model = distilled(teacher_files, "MODEL.TADISTILL.BALANCE.ENABLED", True)
    step(model, batch())
    shares, scales = model.gate_shares, model.balance_scales
    with torch.no_grad(), EventStorage():
        for model.distillation_weight in (0.0, 1.0):
            model(batch(seed=8))
    assert same_tensors(model.gate_shares, shares)
    assert same_tensors(model.balance_scales, scales)
    step(model, batch(seed=8))
    assert not same_tensors(model.gate_shares, shares)
