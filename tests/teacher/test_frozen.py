"""FrozenTeacher: eval mode, no gradients, its own view of the images."""

import pytest
import torch
from tiny import batch, build, liven, plain_cfg, same_detections, same_tensors, teacher_cfg

from tadistill.box_head import run_box_head
from tadistill.errors import ConfigError
from tadistill.teacher import FrozenTeacher


def model(*opts):
    return liven(build(teacher_cfg(*opts)))


@pytest.fixture(scope="module")
def teacher():
    return FrozenTeacher(model())


def test_is_put_in_eval_mode_and_asks_for_no_gradient(teacher):
    assert not any(module.training for module in teacher.model.modules())
    assert not any(parameter.requires_grad for parameter in teacher.model.parameters())


def test_answers_are_those_of_the_model_and_carry_no_gradient(teacher):
    inputs = batch()
    images = teacher.images(inputs)
    assert torch.equal(images.tensor, teacher.model.preprocess_image(inputs).tensor)
    features = teacher.features(images)
    assert same_tensors(features, teacher.model.backbone(images.tensor))
    proposals = teacher.proposals(images, features)
    head = teacher.box_head(features, proposals)
    expected = run_box_head(teacher.model.roi_heads, features, proposals)
    assert torch.equal(head.logits, expected.logits)
    assert torch.equal(head.deltas, expected.deltas)
    for tensor in (*features.values(), *head, proposals[0].proposal_boxes.tensor):
        assert not tensor.requires_grad


def test_proposals_are_as_many_as_it_keeps_at_test_time():
    teacher = FrozenTeacher(
        model("MODEL.RPN.POST_NMS_TOPK_TEST", 7, "MODEL.RPN.POST_NMS_TOPK_TRAIN", 50)
    )
    images = teacher.images(batch())
    proposals = teacher.proposals(images, teacher.features(images))
    assert [len(p) for p in proposals] == [7, 7]
    assert all(p.has("objectness_logits") for p in proposals)


@pytest.mark.parametrize("own", ["BGR", "RGB"])
@pytest.mark.parametrize("students", ["BGR", "RGB"])
def test_sees_and_detects_in_its_own_channel_order(own, students):
    plain = model("INPUT.FORMAT", own).eval()
    teacher = FrozenTeacher(model("INPUT.FORMAT", own), student_format=students)
    inputs = batch()
    originals = [x["image"].clone() for x in inputs]
    in_own = inputs if own == students else [{**x, "image": x["image"].flip(0)} for x in inputs]
    assert torch.equal(teacher.images(inputs).tensor, plain.preprocess_image(in_own).tensor)
    detections = teacher.detect(inputs)
    assert same_detections(detections, plain(in_own))
    assert all(len(d["instances"]) for d in detections)
    assert all(torch.equal(x["image"], o) for x, o in zip(inputs, originals, strict=True))


def test_without_a_channel_order_of_its_own_takes_the_students():
    untold = model()
    untold.input_format = None
    teacher = FrozenTeacher(untold, student_format="RGB")
    inputs = batch()
    assert torch.equal(teacher.images(inputs).tensor, untold.preprocess_image(inputs).tensor)


def test_any_order_will_do_if_it_is_the_same():
    FrozenTeacher(model("INPUT.FORMAT", "L"), student_format="L")


def test_an_order_that_cannot_be_turned_into_the_students_is_an_error():
    with pytest.raises(ConfigError, match="'L' for the student and 'BGR' for the teacher"):
        FrozenTeacher(model(), student_format="L")


def test_follow_reaches_parameters_and_buffers():
    teacher = FrozenTeacher(liven(build(plain_cfg())))
    teacher.follow(lambda t: t.double() if t.is_floating_point() else t)
    floating = [t for t in teacher.model.state_dict().values() if t.is_floating_point()]
    assert {t.dtype for t in floating} == {torch.float64}
    assert not any(parameter.requires_grad for parameter in teacher.model.parameters())
