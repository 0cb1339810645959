"""Where options choose between gates and forms, on answers made by hand."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.roi_heads import FastRCNNOutputLayers
from detectron2.structures import Boxes, Instances

from tadistill.adapters import Adapters
from tadistill.box_head import BoxHeadOutputs
from tadistill.distillation import distillation_losses
from tadistill.ground_truth import with_gt_index
from tadistill.levels import LevelPair
from tadistill.options import (
    BoxOptions,
    DistillationOptions,
    FeatureOptions,
    LogitOptions,
    SharingOptions,
)

K = 2
SIZE = (64, 96)
GT_BOXES = torch.tensor([[8.0, 8.0, 40.0, 40.0], [50.0, 20.0, 82.0, 52.0]])
GT_CLASSES = torch.tensor([0, 1])
# Two foreground regions, one for each box, and two of background.
PROPOSALS = torch.tensor(
    [[10.0, 8, 42, 40], [50, 24, 82, 56], [0, 40, 20, 60], [60, 0, 90, 12]], dtype=torch.float32
)
LABELS = torch.tensor([0, 1, K, K])
LEVELS = {"p3": LevelPair(ShapeSpec(channels=3, stride=8), ShapeSpec(channels=3, stride=8), "t3")}


def predictor(weights=(10.0, 10.0, 5.0, 5.0), agnostic=False, beta=0.0):
    return FastRCNNOutputLayers(
        ShapeSpec(channels=4),
        box2box_transform=Box2BoxTransform(weights),
        num_classes=K,
        cls_agnostic_bbox_reg=agnostic,
        smooth_l1_beta=beta,
    )


def ground_truth():
    return with_gt_index(
        [Instances(SIZE, gt_boxes=Boxes(GT_BOXES.clone()), gt_classes=GT_CLASSES.clone())]
    )


def sampled(labels=LABELS):
    matched = torch.tensor([0, 1, 0, 0])
    return [
        Instances(
            SIZE,
            proposal_boxes=Boxes(PROPOSALS.clone()),
            gt_classes=labels.clone(),
            gt_boxes=Boxes(GT_BOXES[matched]),
            gt_index=matched,
        )
    ]


def logits(rows):
    return torch.tensor(rows, dtype=torch.float32)


# By region: the teacher is better, worse, better, worse at the label.
LOGITS_S = logits([[0, 0, 0], [0, 3, 0], [0, 0, 0], [0, 0, 3]])
LOGITS_T = logits([[2, 0, 0], [0, 1, 0], [0, 0, 2], [0, 0, 1]])


def deltas_to(boxes, weights=(10.0, 10.0, 5.0, 5.0), proposals=PROPOSALS):
    return Box2BoxTransform(weights).get_deltas(proposals, boxes)


def class_specific(deltas):
    """The right deltas for each region's class, and nonsense for the others."""
    result = torch.full((len(deltas), K, 4), 7.0)
    result[torch.arange(len(deltas)), LABELS.clamp(max=K - 1)] = deltas
    return result.flatten(1)


def towards(fraction):
    """Boxes on the way from the proposals (0) to what they are matched to (1)."""
    target = sampled()[0].gt_boxes.tensor
    return PROPOSALS + fraction * (target - PROPOSALS)


@dataclasses.dataclass
class Answers:
    """All that ``distillation_losses`` is given, but for the options."""

    features_S: dict
    features_T: dict
    head_S: BoxHeadOutputs
    head_T: BoxHeadOutputs | None
    predictor_S: FastRCNNOutputLayers = dataclasses.field(default_factory=predictor)
    predictor_T: FastRCNNOutputLayers = dataclasses.field(default_factory=predictor)
    adapters: Callable = dict  # each level as it is
    anchors: dict | None = None
    labels: torch.Tensor = dataclasses.field(default_factory=LABELS.clone)

    def losses(self, **options):
        off = {
            "sharing": SharingOptions(),
            "feature": FeatureOptions(0.0),
            "logit": LogitOptions(0.0),
            "box": BoxOptions(0.0),
        }
        given = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return distillation_losses(
            DistillationOptions(**{**off, **options}),
            levels=LEVELS,
            sampled=sampled(given.pop("labels")),
            gt_instances=ground_truth(),
            **given,
        )


@pytest.fixture
def answers():
    generator = torch.Generator().manual_seed(0)
    return Answers(
        features_S={"p3": torch.rand(1, 3, 8, 12, generator=generator)},
        features_T={"t3": torch.rand(1, 3, 8, 12, generator=generator)},
        head_S=BoxHeadOutputs(LOGITS_S.clone(), class_specific(deltas_to(towards(0.5)))),
        head_T=BoxHeadOutputs(LOGITS_T.clone(), class_specific(deltas_to(towards(1.0)))),
    )


def kl(student, teacher):
    teacher = teacher.softmax(-1)
    return (teacher * (teacher.log() - student.log_softmax(-1))).sum(-1)


def test_only_terms_that_weigh_anything_are_computed(answers):
    assert answers.losses() == ({}, {})
    losses, shares = answers.losses(logit=LogitOptions())
    assert (list(losses), list(shares)) == (["logit"], ["logit"])
    losses, _ = answers.losses(feature=FeatureOptions(), logit=LogitOptions(), box=BoxOptions())
    assert list(losses) == ["feature", "logit", "box"]


@pytest.mark.parametrize(
    ("gate", "region", "counted", "share"),
    [
        ("student", "all", [0, 2], 2 / 4),
        ("none", "all", [0, 1, 2, 3], None),
        ("student", "foreground", [0], 1 / 2),
        ("none", "foreground", [0, 1], None),
    ],
)
def test_logit_term_counts_the_regions_of_its_gate(answers, gate, region, counted, share):
    losses, shares = answers.losses(logit=LogitOptions(gate=gate, region=region))
    expected = kl(LOGITS_S, LOGITS_T)[counted].sum() / 4
    torch.testing.assert_close(losses["logit"], expected)
    assert shares.get("logit") == share


def test_logit_options_reach_the_term(answers):
    warm, _ = answers.losses(logit=LogitOptions(gate="none", temperature=2.0))
    expected = 4 * kl(LOGITS_S / 2, LOGITS_T / 2).mean()
    torch.testing.assert_close(warm["logit"], expected)
    kl_loss, _ = answers.losses(logit=LogitOptions(gate="none"))
    bce_loss, _ = answers.losses(logit=LogitOptions(gate="none", loss="bce"))
    assert bce_loss["logit"] > kl_loss["logit"]


@pytest.mark.parametrize(
    ("fraction_S", "fraction_T", "gate", "open_"),
    [
        (0.5, 1.0, "student", True),
        (1.0, 0.5, "student", False),
        (0.5, 0.5, "student", False),
        (1.0, 0.5, "proposal", True),
        (0.5, -0.5, "proposal", False),
        (0.5, -0.5, "none", True),
    ],
)
def test_box_term_follows_the_better_box(answers, fraction_S, fraction_T, gate, open_):
    deltas_S, deltas_T = deltas_to(towards(fraction_S)), deltas_to(towards(fraction_T))
    answers.head_S = answers.head_S._replace(deltas=class_specific(deltas_S))
    answers.head_T = answers.head_T._replace(deltas=class_specific(deltas_T))
    losses, shares = answers.losses(box=BoxOptions(gate=gate))
    expected = (deltas_S - deltas_T)[:2].abs().sum() / 4 if open_ else torch.tensor(0.0)
    torch.testing.assert_close(losses["box"], expected)
    assert shares.get("box") == (None if gate == "none" else float(open_))


@pytest.mark.parametrize("weights_S", [(10.0, 10.0, 5.0, 5.0), (1.0, 2.0, 3.0, 4.0)])
@pytest.mark.parametrize("agnostic_S", [True, False])
@pytest.mark.parametrize("agnostic_T", [True, False])
def test_the_same_box_in_another_encoding_teaches_nothing(
    answers, weights_S, agnostic_S, agnostic_T
):
    weights_T = (20.0, 10.0, 2.5, 5.0)
    boxes = towards(0.7)
    deltas_S, deltas_T = deltas_to(boxes, weights_S), deltas_to(boxes, weights_T)
    answers.predictor_S = predictor(weights_S, agnostic_S)
    answers.predictor_T = predictor(weights_T, agnostic_T)
    answers.head_S = answers.head_S._replace(
        deltas=deltas_S if agnostic_S else class_specific(deltas_S)
    )
    answers.head_T = answers.head_T._replace(
        deltas=deltas_T if agnostic_T else class_specific(deltas_T)
    )
    losses, _ = answers.losses(box=BoxOptions(gate="none"))
    assert losses["box"] < 1e-4

    other = deltas_to(towards(0.2), weights_T)
    answers.head_T = answers.head_T._replace(deltas=other if agnostic_T else class_specific(other))
    losses, _ = answers.losses(box=BoxOptions(gate="none"))
    expected = (deltas_S - deltas_to(towards(0.2), weights_S))[:2].abs().sum() / 4
    torch.testing.assert_close(losses["box"], expected, rtol=1e-3, atol=1e-4)


def test_box_term_has_the_students_smooth_l1_beta(answers):
    sharp, _ = answers.losses(box=BoxOptions())
    answers.predictor_S = predictor(beta=1.0)
    smooth, _ = answers.losses(box=BoxOptions())
    assert 0 < smooth["box"] < sharp["box"]


def test_instance_gate_leaves_out_boxes_that_the_student_knows_better(answers):
    gated, shares = answers.losses(feature=FeatureOptions(gate="instance"))
    free, free_shares = answers.losses(feature=FeatureOptions())
    assert shares["feature"] == 0.5  # the first of the two boxes
    assert free_shares == {}

    def loss_with_difference_in(x0, x1):
        answers.features_S = {"p3": answers.features_T["t3"].clone()}
        answers.features_S["p3"][..., x0:x1] += 1.0
        return answers.losses(feature=FeatureOptions(gate="instance"))[0]["feature"]

    assert gated["feature"] > 0
    assert gated["feature"] != free["feature"]
    assert loss_with_difference_in(1, 5) > 0  # under the first box, x of 8 to 40
    assert loss_with_difference_in(6, 11) == 0  # under the second


@pytest.mark.parametrize(("height", "width"), [(8, 16), (12, 12), (6, 12)])
def test_maps_of_another_padding_are_compared_where_both_are(answers, height, width):
    # Equal in the common cells, anything beyond: no difference may be found.
    padded = torch.full((1, 3, height, width), 100.0)
    both = min(height, 8), min(width, 12)
    padded[..., : both[0], : both[1]] = answers.features_S["p3"][..., : both[0], : both[1]]
    answers.features_T = {"t3": padded}
    losses, _ = answers.losses(feature=FeatureOptions())
    assert losses["feature"] == 0


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("feature", lambda w: {"feature": FeatureOptions(w)}),
        ("logit", lambda w: {"logit": LogitOptions(w)}),
        ("box", lambda w: {"box": BoxOptions(w)}),
    ],
)
def test_each_lambda_scales_its_term(answers, name, make):
    once, twice = answers.losses(**make(1.0))[0], answers.losses(**make(2.0))[0]
    assert twice[name] == 2 * once[name] > 0


class TestARegionWithoutALabel:
    """-1, "ignore", as ROI heads that label proposals in their own way may have it."""

    @pytest.mark.parametrize("region", ["all", "foreground"])
    @pytest.mark.parametrize("gate", ["student", "none"])
    def test_has_no_part_in_the_logits(self, answers, gate, region):
        answers.labels[[0, 3]] = -1
        losses, shares = answers.losses(logit=LogitOptions(gate=gate, region=region))
        # In the region are 1 (foreground) and 2 (background), of which the gate opens for 2.
        counted = {("none", "all"): [1, 2], ("none", "foreground"): [1], ("student", "all"): [2]}
        expected = kl(LOGITS_S, LOGITS_T)[counted.get((gate, region), [])].sum() / 4
        torch.testing.assert_close(losses["logit"], expected)
        if gate == "student":
            assert shares["logit"] == {"all": 1 / 2, "foreground": 0}[region]

    @pytest.mark.parametrize("gate", ["student", "proposal", "none"])
    def test_has_no_part_in_the_boxes(self, answers, gate):
        both, _ = answers.losses(box=BoxOptions(gate=gate))
        answers.labels[1] = -1
        losses, shares = answers.losses(box=BoxOptions(gate=gate))
        difference = deltas_to(towards(0.5)) - deltas_to(towards(1.0))
        torch.testing.assert_close(losses["box"], difference[0].abs().sum() / 4)
        assert losses["box"] < both["box"]
        assert shares.get("box") == (None if gate == "none" else 1)

    def test_opens_no_instance_gate(self, answers):
        answers.labels[0] = -1  # of the one box that was the teacher's
        _, shares = answers.losses(feature=FeatureOptions(gate="instance"))
        assert shares["feature"] == 0


def test_a_head_that_nothing_reads_may_be_missing(answers):
    answers.head_T = None
    losses, _ = answers.losses(feature=FeatureOptions())
    assert losses["feature"] > 0


def test_terms_are_float32_in_the_middle_of_autocast(answers):
    answers.head_S = BoxHeadOutputs(*(t.bfloat16() for t in answers.head_S))
    answers.head_T = BoxHeadOutputs(*(t.bfloat16() for t in answers.head_T))
    answers.features_S = {"p3": answers.features_S["p3"].bfloat16()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses, _ = answers.losses(feature=FeatureOptions(), logit=LogitOptions(), box=BoxOptions())
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    assert all(loss.isfinite() for loss in losses.values())


def test_neither_the_teacher_nor_the_gates_get_a_gradient(answers):
    student = [*answers.head_S, *answers.features_S.values()]
    teacher = [*answers.head_T, *answers.features_T.values()]
    for tensor in student + teacher:
        tensor.requires_grad_()
    losses, shares = answers.losses(
        feature=FeatureOptions(gate="instance"), logit=LogitOptions(), box=BoxOptions()
    )
    sum(losses.values()).backward()
    assert all(tensor.grad.any() for tensor in student)
    assert all(tensor.grad is None for tensor in answers.features_T.values())
    assert not any(share.requires_grad for share in shares.values())
    # Where the gate is closed the student hears nothing.
    assert not answers.head_S.logits.grad[[1, 3]].any()
    assert not answers.head_S.deltas.grad[2:].any()


def test_adapters_answer_in_float32_whatever_autocast_does(answers):
    adapters, adapted = Adapters(LEVELS), []

    def listened_to(features):
        adapted.append(adapters(features))
        return adapted[-1]

    answers.adapters = listened_to
    # What backbones under autocast answer.
    answers.features_S = {name: x.bfloat16() for name, x in answers.features_S.items()}
    answers.features_T = {name: x.bfloat16() for name, x in answers.features_T.items()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast, _ = answers.losses(feature=FeatureOptions())
    without, _ = answers.losses(feature=FeatureOptions())
    assert [maps["p3"].dtype for maps in adapted] == [torch.float32] * 2
    assert torch.equal(adapted[0]["p3"], adapted[1]["p3"])
    assert under_autocast["feature"].dtype == torch.float32
    assert torch.equal(under_autocast["feature"], without["feature"])


def anchors(side=32.0):
    """One square around the centre of each cell of p3."""
    y, x = torch.meshgrid(*(torch.arange(cells) * 8 + 4.0 for cells in (8, 12)), indexing="ij")
    half = side / 2
    return {"p3": torch.stack([x - half, y - half, x + half, y + half], -1)[:, :, None]}


class TestTheMask:
    @pytest.mark.parametrize(
        ("mask", "cells"),
        [
            # Four by four centres of cells lie in the first box, four by five in the second.
            ("gaussian", 16 + 20),
            ("box", 16 + 20),
            # Anchors of the boxes' size. Four are next to the first box (IoU 0.62), and of their
            # neighbours those along one axis fit well enough (0.38), those across do not (0.24).
            # One is next to the second box (0.88); two more in its row fit (0.66, 0.52), one above
            # it and one below (0.52), none across (0.44).
            ("anchor", 12 + 5),
            ("whole", 8 * 12),
        ],
    )
    def test_is_the_one_that_the_option_names(self, answers, mask, cells):
        answers.anchors = anchors()
        map_S = answers.features_S["p3"].requires_grad_()
        answers.losses(feature=FeatureOptions(mask=mask))[0]["feature"].backward()
        assert (map_S.grad.abs().sum((0, 1)) > 0).sum() == cells

    def test_of_the_whole_map_gives_the_mean_squared_error(self, answers):
        losses, _ = answers.losses(feature=FeatureOptions(mask="whole"))
        error = (answers.features_S["p3"] - answers.features_T["t3"]).square().mean()
        torch.testing.assert_close(losses["feature"], error / 2)

    def test_of_the_whole_map_is_that_of_the_area_that_both_have(self, answers):
        padded = torch.full((1, 3, 12, 16), 100.0)
        padded[..., :8, :12] = answers.features_T["t3"]
        expected = answers.losses(feature=FeatureOptions(mask="whole"))
        answers.features_T = {"t3": padded}
        assert answers.losses(feature=FeatureOptions(mask="whole")) == expected

    @pytest.mark.parametrize("mask", ["gaussian", "box", "anchor"])
    def test_has_no_trace_of_boxes_behind_a_closed_gate(self, answers, mask):
        answers.anchors = anchors()
        answers.features_S["p3"].requires_grad_()
        losses, shares = answers.losses(feature=FeatureOptions(gate="instance", mask=mask))
        losses["feature"].backward()
        touched = answers.features_S["p3"].grad.abs().sum((0, 1, 2)) > 0
        assert shares["feature"] == 0.5  # the first of the two boxes, x of 8 to 40
        assert touched[:6].any()
        assert not touched[6:].any()
