"""The student beside a teacher: its weights, losses and regions, and what is deployed of it."""

import pytest
import torch
from detectron2.modeling import GeneralizedRCNN
from detectron2.utils.env import seed_all_rng
from detectron2.utils.events import EventStorage
from distilled import INSTANCE_GATE, SOURCES, count_calls, distilled
from tiny import (
    batch,
    build,
    gradients,
    liven,
    plain_cfg,
    same_detections,
    same_tensors,
    source,
    step,
    student_cfg,
    term_weights,
)


class TestTheStudentBesideATeacher:
    def test_starts_from_the_weights_and_random_state_it_would_have_alone(self, teacher_files):
        stock = build(plain_cfg())
        random_state = torch.get_rng_state()
        model = build(student_cfg(teacher_files))
        assert torch.equal(torch.get_rng_state(), random_state)
        plain = {k: v for k, v in model.state_dict().items() if not k.startswith("adapters.")}
        assert same_tensors(plain, stock.state_dict())

    def test_has_the_detection_losses_of_generalized_rcnn_on_its_own_proposals(self, teacher_files):
        theirs = step(build(plain_cfg()), batch())
        random_state = torch.get_rng_state()
        ours = step(distilled(teacher_files, *source("student")), batch())
        assert torch.equal(torch.get_rng_state(), random_state)
        assert same_tensors({k: v for k, v in ours.items() if "tad" not in k}, theirs)
        assert [k for k in ours if "tad" in k] == [
            "loss_tad_feature",
            "loss_tad_logit",
            "loss_tad_box",
        ]
        assert all(ours[k] > 0 for k in ours)

    def test_has_the_gradients_of_generalized_rcnn_when_the_weight_is_zero(self, teacher_files):
        stock, model = build(plain_cfg()), distilled(teacher_files, weight=0.0)
        step(stock, batch())
        step(model, batch())
        plain = {k: v for k, v in gradients(model).items() if not k.startswith("adapters.")}
        assert same_tensors(plain, gradients(stock))

    def test_is_sampled_from_other_proposals_when_they_are_shared(self, teacher_files):
        losses = {
            name: step(distilled(teacher_files, *term_weights(0, 0, 0), *source(name)), batch())
            for name in SOURCES
        }
        # The RPN is trained alike; the box head sees other regions.
        assert losses["union"]["loss_rpn_cls"] == losses["student"]["loss_rpn_cls"]
        values = [losses[name]["loss_cls"].item() for name in SOURCES]
        assert len(set(values)) == len(SOURCES)

    def test_runs_its_backbone_rpn_and_box_head_once_a_step(self, teacher_files):
        model = distilled(teacher_files, *INSTANCE_GATE)
        parts = [model.backbone, model.proposal_generator.rpn_head, model.roi_heads.box_head]
        calls = [count_calls(part) for part in [*parts, model.roi_heads.box_predictor]]
        step(model, batch())
        assert [len(c) for c in calls] == [1, 1, 1, 1]

    def test_both_heads_get_the_same_proposals_in_the_same_order(self, teacher_files):
        model = distilled(teacher_files)
        seen = []
        for roi_heads in (model.roi_heads, model.teacher.roi_heads):
            roi_heads.box_pooler.register_forward_pre_hook(
                lambda module, args: seen.append(args[1])
            )
        step(model, batch())
        boxes_S, boxes_T = ([b.tensor for b in boxes] for boxes in seen)
        assert len(boxes_S) == len(boxes_T) == 2
        assert sum(len(b) for b in boxes_S) == 64
        assert all(torch.equal(s, t) for s, t in zip(boxes_S, boxes_T, strict=True))


class TestStudentProperty:
    def test_is_a_plain_generalized_rcnn_over_the_same_parameters(self, model):
        student = model.student
        assert type(student) is GeneralizedRCNN
        theirs = dict(student.named_parameters())
        mine = dict(model.named_parameters())
        assert all(mine[name] is parameter for name, parameter in theirs.items())
        assert len(mine) == len(theirs) + len(list(model.adapters.parameters()))
        assert list(student.state_dict()) == list(build(plain_cfg()).state_dict())
        assert not hasattr(student, "adapters")

    def test_gives_bitwise_the_same_detections(self, model):
        liven(model).eval()
        detections = model(batch())
        assert same_detections(model.student(batch()), detections)
        assert all(len(d["instances"]) for d in detections)

    @pytest.mark.parametrize("training", [True, False])
    def test_is_in_the_mode_of_the_model(self, model, training):
        model.train(training)
        assert model.student.training is training


def test_training_is_visualized_as_in_generalized_rcnn(teacher_files):
    images = []
    for cfg in (student_cfg(teacher_files, *source("student")), plain_cfg()):
        cfg.VIS_PERIOD = 2
        model = build(cfg)
        model.distillation_weight = 1.0
        seed_all_rng(11)  # the boxes' colours are random, too
        with EventStorage(1) as storage:
            model(batch())
            assert not storage._vis_data
            storage.iter = 2
            model(batch())
            images.append([image for _, image, _ in storage._vis_data])
    assert len(images[0]) == len(images[1]) == 1
    assert (images[0][0] == images[1][0]).all()
