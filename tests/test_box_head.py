"""The interface to a model's box head: bitwise the head's own answers, and its own losses."""

import pytest
import torch
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage
from tiny import batch, build, liven, plain_cfg
from torch import nn

from tadistill.box_head import roi_losses, run_box_head
from tadistill.errors import ConfigError


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


def test_heads_without_a_box_branch_are_no_ones_to_ask():
    with pytest.raises(TypeError, match="Identity has no box branch"):
        run_box_head(nn.Identity(), {}, [])
    with pytest.raises(TypeError, match="Identity has no box branch"):
        roi_losses(nn.Identity(), {}, [], None)


def test_a_predictor_that_says_more_than_two_things(model, features):
    class Third(type(model.roi_heads.box_predictor)):
        def forward(self, x):
            return (*super().forward(x), x)

    model.roi_heads.box_predictor.__class__ = Third
    with pytest.raises(ConfigError, match=r"Third has 3 outputs, .* register run_box_head and"):
        run_box_head(model.roi_heads, features, proposals(3, 2))


def test_of_roi_heads_that_were_compiled_it_is_said_what_can_be_instead(model, features):
    with pytest.raises(TypeError, match="compile the box_head in it instead"):
        run_box_head(torch.compile(model.roi_heads), features, proposals(3, 2))
