"""The interface to a model's box head: bitwise the head's own answers, and plain refusals."""

import pytest
import torch
from detectron2.modeling import ROI_HEADS_REGISTRY, StandardROIHeads
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage
from tiny import batch, build, liven, plain_cfg
from torch import nn

from tadistill.box_head import roi_losses, run_box_head, why_not_distillable


@pytest.fixture(scope="module")
def model():
    return liven(build(plain_cfg()))


@pytest.fixture(scope="module")
def features(model):
    model.eval()
    with torch.no_grad():
        return model.backbone(model.preprocess_image(batch()).tensor)


def proposals(*counts):
    result = []
    for count, size in zip(counts, ((67, 93), (96, 71)), strict=True):
        corner = torch.rand(count, 2) * 40
        boxes = Boxes(torch.cat([corner, corner + 5 + torch.rand(count, 2) * 20], dim=1))
        result.append(Instances(size, proposal_boxes=boxes, objectness_logits=torch.zeros(count)))
    return result


def test_answers_are_those_of_the_heads_own_inference(model, features):
    regions = proposals(6, 9)
    logits, deltas = run_box_head(model.roi_heads, features, regions)
    assert logits.shape == (15, 4)
    assert deltas.shape == (15, 12)
    by_hand, _ = model.roi_heads.box_predictor.inference((logits, deltas), regions)
    own = model.roi_heads._forward_box(features, regions)
    for mine, theirs in zip(by_hand, own, strict=True):
        assert len(mine) > 0
        assert torch.equal(mine.pred_boxes.tensor, theirs.pred_boxes.tensor)
        assert torch.equal(mine.scores, theirs.scores)


def test_answers_keep_the_order_of_the_proposals(model, features):
    regions = proposals(6, 9)
    logits, _ = run_box_head(model.roi_heads, features, regions)
    turned = [r[torch.arange(len(r) - 1, -1, -1)] for r in regions]
    turned_logits, _ = run_box_head(model.roi_heads, features, turned)
    expected = torch.cat([part.flip(0) for part in logits.split([6, 9])])
    torch.testing.assert_close(turned_logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("counts", [(0, 4), (0, 0)])
def test_images_without_proposals_are_answered_with_nothing(model, features, counts):
    logits, deltas = run_box_head(model.roi_heads, features, proposals(*counts))
    assert logits.shape == (sum(counts), 4)
    assert deltas.shape == (sum(counts), 12)


def test_losses_are_those_of_the_heads_own_forward(model, features):
    inputs = [x["instances"] for x in batch()]
    roi_heads = model.roi_heads.train()
    torch.manual_seed(0)
    with EventStorage():
        sampled, own = roi_heads(None, features, proposals(30, 40), inputs)
        mine = roi_losses(roi_heads, features, sampled, run_box_head(roi_heads, features, sampled))
    assert list(mine) == list(own) == ["loss_cls", "loss_box_reg"]
    assert all(torch.equal(mine[name], own[name]) for name in own)


def heads(*opts):
    return build(plain_cfg(*opts)).roi_heads


class HeadsWithAForward(StandardROIHeads):
    def _forward_box(self, features, proposals):
        return super()._forward_box(features, proposals)


class TestWhyNotDistillable:
    def test_standard_heads_are(self, model):
        assert why_not_distillable(model.roi_heads) is None

    def test_a_cascade_has_several_predictors(self):
        cascade = heads(
            *("MODEL.ROI_HEADS.NAME", "CascadeROIHeads"),
            *("MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", True),
            *("MODEL.ROI_HEADS.IOU_THRESHOLDS", [0.5]),
        )
        assert "CascadeROIHeads" in why_not_distillable(cascade)
        assert "cascade has several" in why_not_distillable(cascade)

    def test_moved_proposals_are_named_with_their_key(self):
        reason = why_not_distillable(heads("MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES", True))
        assert "MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES" in reason

    def test_sigmoids_are_named_with_their_key(self):
        roi_heads = heads()
        roi_heads.box_predictor.use_sigmoid_ce = True  # an option of newer Detectron2
        assert "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE" in why_not_distillable(roi_heads)

    def test_rotated_boxes_are_not_compared(self):
        roi_heads = heads()
        roi_heads.box_predictor.box2box_transform.weights = (10, 10, 5, 5, 1)
        assert "rotated" in why_not_distillable(roi_heads)

    def test_a_predictor_of_another_kind(self):
        roi_heads = heads()
        roi_heads.box_predictor = nn.Linear(1, 1)
        assert "Linear" in why_not_distillable(roi_heads)

    def test_heads_without_a_box_branch(self):
        assert "no box branch" in why_not_distillable(nn.Identity())
        with pytest.raises(TypeError, match="Identity has no box branch"):
            run_box_head(nn.Identity(), {}, [])
        with pytest.raises(TypeError, match="Identity has no box branch"):
            roi_losses(nn.Identity(), {}, [], None)

    def test_heads_with_a_forward_of_their_own_until_they_register_it(self):
        ROI_HEADS_REGISTRY._do_register("HeadsWithAForward", HeadsWithAForward)
        try:
            roi_heads = heads("MODEL.ROI_HEADS.NAME", "HeadsWithAForward")
        finally:
            ROI_HEADS_REGISTRY._obj_map.pop("HeadsWithAForward")
        reason = why_not_distillable(roi_heads)
        assert "HeadsWithAForward has a _forward_box of its own" in reason
        assert "register run_box_head" in reason
        own = lambda roi_heads, features, proposals: None  # noqa: E731
        run_box_head.register(HeadsWithAForward, own)
        assert why_not_distillable(roi_heads) is None
