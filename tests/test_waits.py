"""No part of ours makes the host wait for a GPU; see waits.py for how that is seen without one."""

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.roi_heads import FastRCNNOutputLayers
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage
from tiny import batch, build, plain_cfg, source, step, student_cfg
from waits import Waits, as_on_a_gpu, counted_waits

from tadistill.adapters import Adapters
from tadistill.box_head import BoxHeadOutputs
from tadistill.distillation import distillation_losses
from tadistill.ground_truth import with_gt_index
from tadistill.host_scalars import HostScalars
from tadistill.levels import LevelPair
from tadistill.options import BoxOptions, DistillationOptions, FeatureOptions, LogitOptions
from tadistill.proposals import share_proposals

K = 3
SIZE = (64, 96)
# Each choice at least once.
FORMS = [
    (FeatureOptions(), LogitOptions(), BoxOptions()),
    (
        FeatureOptions(gate="instance"),
        LogitOptions(1.0, 2.0, "none", "foreground", "bce"),
        BoxOptions(gate="proposal"),
    ),
    (
        FeatureOptions(),
        LogitOptions(1.0, 2.0, "student", "foreground", "bce"),
        BoxOptions(gate="none"),
    ),
]


def boxes(count):
    corner = 40 * torch.rand(count, 2)
    return Boxes(torch.cat([corner, corner + 20], dim=1))


class Ours:
    """Made answers of two models, on the current device, and what a step of ours does to them."""

    def __init__(self, form, counts=(3, 5)):
        feature, logit, box = form
        self.proposals = [
            [Instances(SIZE, proposal_boxes=boxes(n), objectness_logits=torch.rand(n)) for n in ns]
            for ns in (counts, (4, 4))
        ]
        self.gt_instances = [
            Instances(SIZE, gt_boxes=boxes(n), gt_classes=torch.randint(K, (n,))) for n in counts
        ]
        self.sampled = [self._sampled(n) for n in counts]
        spec = ShapeSpec(channels=3, stride=8)
        transform = Box2BoxTransform((10.0, 10.0, 5.0, 5.0))
        predictor_S, predictor_T = (
            FastRCNNOutputLayers(spec, box2box_transform=transform, num_classes=K, **kwargs)
            for kwargs in ({"cls_agnostic_bbox_reg": True}, {"smooth_l1_beta": 0.5})
        )
        levels = {"p3": LevelPair(spec, ShapeSpec(channels=5, stride=8), "t3")}
        self.answers = {
            "levels": levels,
            "adapters": Adapters(levels),
            "features_S": {"p3": torch.rand(2, 3, 8, 12)},
            "features_T": {"t3": torch.rand(2, 5, 8, 16)},
            "head_S": BoxHeadOutputs(torch.rand(16, K + 1), torch.rand(16, 4)),
            "head_T": BoxHeadOutputs(torch.rand(16, K + 1), torch.rand(16, 4 * K)),
            "predictor_S": predictor_S,
            "predictor_T": predictor_T,
        }
        self.options = DistillationOptions(feature=feature, logit=logit, box=box)

    def _sampled(self, num_gt):
        image = Instances(SIZE, proposal_boxes=boxes(8), gt_classes=torch.randint(K + 1, (8,)))
        if num_gt:
            image.gt_boxes = boxes(8)
            image.gt_index = torch.randint(num_gt, (8,))
        return image

    def run(self):
        shared = share_proposals(*self.proposals)
        losses, shares = distillation_losses(
            self.options,
            sampled=self.sampled,
            gt_instances=with_gt_index(self.gt_instances),
            **self.answers,
        )
        return shared, losses, shares


@pytest.mark.parametrize(
    "waits",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.sum() > 0),
        lambda x: float(x[0, 0]),
        lambda x: x.tolist(),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: torch.where(x > 0),
        lambda x: x.masked_select(x > 0),
        lambda x: torch.unique(x),
        lambda x: torch.equal(x, x),
        lambda x: torch.repeat_interleave(x, torch.ones(4, device=x.device).long(), 0),
        lambda x: x.cpu(),
        lambda x: x * torch.tensor([1.0, 2, 3, 4]).to(x.device),
        lambda x: torch.tensor([1.0, 2, 3, 4], device=x.device),
        lambda x: x[:, torch.tensor([0, 2])],
    ],
)
def test_what_waits_is_seen(waits):
    with as_on_a_gpu() as device, pytest.raises(Waits):
        waits(torch.empty(4, 4, device=device))


def test_what_does_not_wait_is_let_through():
    with as_on_a_gpu() as device:
        x = torch.empty(4, 4, device=device)
        y = torch.where(x > 0, x, 0).masked_fill(x > 0, 2.0) + torch.arange(4, device=device) / 3
        assert y.shape == (4, 4)
        assert torch.repeat_interleave(x, 2, 0).shape == (8, 4)


@pytest.mark.parametrize(
    ("form", "counts"),
    [*((form, (3, 5)) for form in FORMS), (FORMS[1], (2, 0)), (FORMS[1], (0, 0))],
)
def test_sharing_gates_and_terms_do_not_wait(form, counts):
    with as_on_a_gpu() as device, torch.device(device):
        shared, losses, shares = Ours(form, counts).run()
        with pytest.raises(Waits):
            shared.distinct()
    assert [len(image) for image in shared.proposals] == [count + 4 for count in counts]
    assert set(losses) == {"feature", "logit", "box"}
    assert all(value.device == shared.duplicates[0].device for value in losses.values())
    assert all(value.device == shared.duplicates[0].device for value in shares.values())


def test_the_way_back_does_not_wait():
    for form in FORMS:
        _, losses, _ = Ours(form).run()
        with counted_waits() as waits:
            sum(losses.values()).backward()
        assert not waits


@pytest.mark.parametrize("proposals", ["union", "student", "teacher"])
def test_a_step_waits_as_often_as_the_student_and_the_teacher_alone(teacher_files, proposals):
    opts = (*source(proposals), "MODEL.TADISTILL.FEATURE.GATE", "instance")
    model, student = build(student_cfg(teacher_files, *opts)), build(plain_cfg())
    model.distillation_weight = 1.0
    inputs = batch()
    with counted_waits() as distilled:
        step(model, inputs)
    with counted_waits() as alone:
        step(student, inputs)
    teacher = model._teacher
    with counted_waits() as asked, EventStorage():
        images = teacher.images(inputs)
        features = teacher.features(images)
        proposals_T = teacher.proposals(images, features)
        teacher.box_head(features, proposals_T)
    if proposals == "student":
        # Its RPN, which waits, is not asked.
        with counted_waits() as rpn:
            teacher.proposals(images, features)
        asked -= rpn
    assert alone["aten::nonzero"]  # they do wait
    assert distilled == alone + asked


def test_the_balance_asks_whether_there_are_scales_once_in_a_training_that_goes_on(teacher_files):
    """And never in one from the start. Measuring waits where the way back through Detectron2's own
    losses does, of boxes chosen by a mask.
    """
    opts = ("MODEL.TADISTILL.BALANCE.ENABLED", True)
    plain, begun, resumed = (build(student_cfg(teacher_files, *o)) for o in ((), opts, opts))

    def waits_of_steps(model, iterations):
        model.distillation_weight = 1.0
        for iteration in iterations:
            with counted_waits() as waits, EventStorage(iteration):
                model(batch())
            yield waits

    (alone,) = waits_of_steps(plain, [0])
    measuring, *between = waits_of_steps(begun, [0, 1, 2])
    assert set(measuring - alone) == {"aten::index_put with a mask"}
    assert between == [alone, alone]
    resumed.load_state_dict(begun.state_dict())
    first, *between = waits_of_steps(resumed, [7, 8, 9])
    assert first - alone == {"aten::_local_scalar_dense": 1}
    assert between == [alone, alone]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("form", FORMS)
def test_torch_itself_sees_no_wait_on_a_gpu(form):
    with torch.device("cuda"):
        ours = Ours(form)

        def all_of_it():
            _, losses, shares = ours.run()
            sum(losses.values()).backward()
            return HostScalars(shares)

        all_of_it()  # libraries that are loaded at their first use may wait
        torch.cuda.set_sync_debug_mode("error")
        try:
            scalars = all_of_it()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert all(0 <= share <= 1 for share in scalars.read().values())
