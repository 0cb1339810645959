"""All sides have the same weights, batch and teacher."""

import pytest
import torch
from detectron2.modeling import GeneralizedRCNN
from timing.batches import synthetic_batch
from timing.pair import RANDOM, Shape, build_pair, normalise
from timing.rounds import Clock, Stopwatch
from timing.sides import teacher_side, training_side
from timing.variants import Variant

from tadistill.errors import ConfigError

EVERY_TERM = Variant("every term")


def started_watch():
    watch = Stopwatch(Clock(torch.device("cpu")))
    watch.start()
    return watch


def test_batch_is_of_the_shape_that_was_asked_for():
    batch = synthetic_batch(3, (64, 80), 5, num_classes=4)
    assert [tuple(x["image"].shape) for x in batch] == [(3, 64, 80)] * 3
    for x in batch:
        boxes = x["instances"].gt_boxes.tensor
        assert boxes.shape == (5, 4)
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:] <= torch.tensor([80, 64])).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert x["instances"].gt_classes.max() < 4


def test_batch_comes_back():
    first, second = (synthetic_batch(1, (64, 64), 5, 4, seed=7)[0] for _ in range(2))
    assert torch.equal(first["image"], second["image"])
    assert torch.equal(first["instances"].gt_boxes.tensor, second["instances"].gt_boxes.tensor)


def test_distilled_students_share_the_stock_students_weights(pair):
    distilled = pair.distilled(EVERY_TERM)
    assert type(pair.student) is type(pair.teacher) is GeneralizedRCNN
    assert distilled.backbone is pair.student.backbone
    assert distilled.proposal_generator is pair.student.proposal_generator
    assert distilled.roi_heads is pair.student.roi_heads


def test_stock_teacher_is_the_distilled_students_teacher(pair):
    theirs = pair.distilled(EVERY_TERM).teacher.state_dict()
    for name, tensor in pair.teacher.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name


def test_random_teacher_is_the_same_on_both_sides_too(cfg, tmp_path):
    cfg.MODEL.TADISTILL.TEACHER.WEIGHTS = ""
    pair = build_pair(cfg, Shape(images=1, side=64), tmp_path)
    assert pair.weights == {"student": RANDOM, "teacher": RANDOM}
    theirs = pair.distilled(EVERY_TERM).teacher.state_dict()
    for name, tensor in pair.teacher.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name


def test_steps_leave_the_weights_as_they_were(pair):
    distilled = pair.distilled(EVERY_TERM)
    before = {name: p.detach().clone() for name, p in distilled.named_parameters()}
    watch = started_watch()
    training_side(pair.cfg, distilled, pair.batch)(watch)
    assert list(watch.stop()) == ["forward", "backward", "optimizer", "total"]
    for name, parameter in distilled.named_parameters():
        assert torch.equal(parameter, before[name]), name


def test_teacher_is_measured_by_parts(pair):
    watch = started_watch()
    teacher_side(pair)(watch)
    assert list(watch.stop()) == ["backbone", "rpn", "box_head", "total"]


def test_key_that_the_config_does_not_know_is_an_error(pair):
    with pytest.raises(ConfigError, match="variant 'new'"):
        pair.distilled(Variant("new", ("MODEL.TADISTILL.NEW", True)))


def test_deep_random_backbone_stays_finite():
    blocks = [
        layer
        for _ in range(40)
        for layer in (torch.nn.Conv2d(8, 8, 3, padding=1), torch.nn.BatchNorm2d(8))
    ]
    for conv in blocks[::2]:
        torch.nn.init.normal_(conv.weight, std=10.0)
    backbone = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 1), *blocks)
    images = torch.rand(2, 3, 8, 8)
    assert not backbone.eval()(images).isfinite().all()
    normalise(backbone, images)
    assert backbone(images).std().item() == pytest.approx(1.0, abs=0.1)
