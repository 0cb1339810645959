"""What a step computes: all that is needed, once."""

import pytest
from distilled import INSTANCE_GATE, count_calls, distilled, forbid
from tiny import batch, source, step, term_weights


class TestTheTeacherIsNotAskedForMoreThanIsNeeded:
    def test_not_at_all_when_the_weight_is_zero(self, teacher_files, monkeypatch):
        model = distilled(teacher_files, weight=0.0)
        for name in ("images", "features", "proposals", "box_head"):
            forbid(monkeypatch, model._teacher, name)
        forbid(monkeypatch, model.teacher.backbone, "forward")
        assert "loss_tad_feature" in step(model, batch())
        assert model.gate_shares == {}

    def test_not_at_all_in_inference(self, model, monkeypatch):
        forbid(monkeypatch, model.teacher.backbone, "forward")
        model.eval()
        assert len(model(batch())[0]["instances"]) == 10

    def test_not_for_proposals_when_they_are_the_students(self, teacher_files, monkeypatch):
        model = distilled(teacher_files, *source("student"))
        forbid(monkeypatch, model.teacher.proposal_generator, "forward")
        step(model, batch())

    @pytest.mark.parametrize("name", ["union", "teacher"])
    def test_for_proposals_when_they_are_shared(self, teacher_files, name):
        model = distilled(teacher_files, *source(name))
        calls = count_calls(model.teacher.proposal_generator)
        step(model, batch())
        assert len(calls) == 1

    def test_not_for_its_head_when_only_the_features_count(self, teacher_files, monkeypatch):
        model = distilled(teacher_files, *term_weights(1, 0, 0))
        forbid(monkeypatch, model.teacher.roi_heads.box_head, "forward")
        step(model, batch())

    @pytest.mark.parametrize(
        "opts",
        [term_weights(0, 1, 0), term_weights(0, 0, 1), (*term_weights(1, 0, 0), *INSTANCE_GATE)],
        ids=["logit", "box", "instance gate"],
    )
    def test_for_its_head_once_when_a_term_or_gate_reads_it(self, teacher_files, opts):
        model = distilled(teacher_files, *opts)
        calls = count_calls(model.teacher.roi_heads.box_head)
        step(model, batch())
        assert len(calls) == 1


class TestNothingIsComputedTwice:
    def test_and_what_no_term_reads_not_at_all(self, teacher_files):
        model = distilled(teacher_files, "MODEL.TADISTILL.FEATURE.LEVELS", ["p3", "p4"])
        teacher = model.teacher
        modules = [model.backbone, model.proposal_generator, model.roi_heads.box_head]
        modules += [teacher.backbone, teacher.proposal_generator, teacher.roi_heads.box_head]
        modules += [model.adapters["p3"], model.adapters["p4"]]
        calls = [count_calls(module) for module in modules]
        step(model, batch())
        assert list(model.adapters) == ["p3", "p4"]
        assert [len(c) for c in calls] == [1] * len(modules)

    def test_no_level_is_adapted_without_the_feature_term(self, teacher_files):
        model = distilled(teacher_files, *term_weights(0, 1, 1))
        step(model, batch())
        assert len(model.adapters) == 0

    def test_no_anchors_for_a_mask_without_the_feature_term(self, teacher_files):
        model = distilled(
            teacher_files, *term_weights(0, 1, 1), "MODEL.TADISTILL.FEATURE.MASK", "anchor"
        )
        calls = count_calls(model.proposal_generator.anchor_generator)
        step(model, batch())
        assert len(calls) == 1  # the RPN's own
