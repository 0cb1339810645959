"""Gradients reach all of the student and nothing of the teacher."""

import itertools

import pytest
import torch
from detectron2.utils.events import EventStorage
from distilled import ALL_TERMS, INSTANCE_GATE, SOURCES, check_gradients, distilled
from tiny import batch, liven, source, step, term_weights

# All combinations but the one in which distillation is off.
DISTILLED = [
    (weights, name)
    for weights, name in itertools.product(ALL_TERMS, SOURCES)
    if any(weights) or name != "student"
]


class TestGradients:
    @pytest.mark.parametrize(("weights", "name"), DISTILLED)
    def test_reach_everything_of_the_student_and_nothing_of_the_teacher(
        self, teacher_files, weights, name
    ):
        model = distilled(teacher_files, *term_weights(*weights), *source(name))
        losses = step(model, batch())
        check_gradients(model)
        on = [n for n, w in zip(("feature", "logit", "box"), weights, strict=True) if w]
        assert [k for k in losses if "tad" in k] == [f"loss_tad_{n}" for n in on]
        assert len(model.adapters) == (5 if weights[0] else 0)
        assert all(p.grad.any() for p in model.adapters.parameters())

    @pytest.mark.parametrize("weight", [1.0, 0.0])
    @pytest.mark.parametrize("counts", [(0, 3), (0, 0)], ids=["one image", "all images"])
    @pytest.mark.parametrize("opts", [(), INSTANCE_GATE], ids=["default", "instance gate"])
    def test_are_finite_and_complete_without_ground_truth(
        self, teacher_files, opts, counts, weight
    ):
        model = distilled(teacher_files, *opts, weight=weight)
        losses = step(model, batch(counts))
        assert all(loss.isfinite() for loss in losses.values())
        assert [loss.requires_grad for loss in losses.values()] == [True] * 7
        check_gradients(model)
        if not any(counts):
            assert losses["loss_tad_feature"] == losses["loss_tad_box"] == 0

    @pytest.mark.parametrize("weights", ALL_TERMS)
    def test_are_there_for_every_parameter_when_the_weight_is_zero(self, teacher_files, weights):
        model = distilled(teacher_files, *term_weights(*weights), weight=0.0)
        losses = step(model, batch())
        check_gradients(model)
        tad = {k: v for k, v in losses.items() if "tad" in k}
        assert len(tad) == sum(weights)
        assert all(v == 0 and v.requires_grad for v in tad.values())
        assert not any(p.grad.any() for p in model.adapters.parameters())

    @pytest.mark.parametrize("term", ["loss_tad_logit", "loss_tad_box"])
    def test_of_a_head_term_move_the_students_head_and_backbone(self, teacher_files, term):
        model = distilled(teacher_files, "MODEL.TADISTILL.BOX.GATE", "none")
        torch.manual_seed(0)
        # A fresh head's weights of 0.001 would let next to nothing through to the backbone.
        liven(model)
        with EventStorage():
            losses = model(batch())
        losses[term].backward()
        assert model.roi_heads.box_head.fc1.weight.grad.any()
        assert model.backbone.bottom_up.stem.conv1.weight.grad.any()

    def test_are_scaled_by_the_weight(self, teacher_files):
        full = step(distilled(teacher_files), batch())
        half = step(distilled(teacher_files, weight=0.5), batch())
        for name in full:
            factor = 0.5 if "tad" in name else 1.0
            assert half[name] == factor * full[name]


class TestAutocast:
    @pytest.mark.parametrize("opts", [(), INSTANCE_GATE, ("MODEL.TADISTILL.LOGIT.LOSS", "bce")])
    def test_bfloat16_gives_finite_losses_and_gradients_and_float32_terms(
        self, teacher_files, opts
    ):
        model = distilled(teacher_files, *opts)
        calls = []
        model.roi_heads.box_head.register_forward_hook(lambda m, a, out: calls.append(out.dtype))
        torch.manual_seed(11)
        with EventStorage(), torch.autocast("cpu", dtype=torch.bfloat16):
            losses = model(batch())
        sum(losses.values()).backward()
        assert calls == [torch.bfloat16]  # autocast was at work
        assert all(loss.isfinite() for loss in losses.values())
        assert {v.dtype for k, v in losses.items() if "tad" in k} == {torch.float32}
        check_gradients(model)

    def test_bfloat16_is_close_to_float32(self, teacher_files):
        # Of the feature term, which does not depend on the regions sampled.
        exact = step(distilled(teacher_files), batch())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = step(distilled(teacher_files), batch())
        name = "loss_tad_feature"
        assert rough[name] != exact[name]
        torch.testing.assert_close(rough[name], exact[name], rtol=0.05, atol=0.0)
