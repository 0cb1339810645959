import pytest
import torch
from detectron2.modeling.matcher import Matcher
from detectron2.modeling.roi_heads import ROIHeads
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage

from tadistill.ground_truth import with_gt_index
from tadistill.regions import Regions

K = 3
IMAGE_SIZE = (90, 110)


def sampled(boxes, classes, **fields):
    return Instances(
        IMAGE_SIZE,
        proposal_boxes=Boxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)),
        gt_classes=torch.tensor(classes, dtype=torch.int64),
        **fields,
    )


def test_images_one_after_the_other():
    gt_boxes = torch.rand(3, 4)
    regions = Regions.of(
        [
            sampled(
                [[0, 0, 10, 10], [5, 5, 20, 20]],
                [1, K],
                gt_boxes=Boxes(gt_boxes[:2]),
                gt_index=torch.tensor([4, 0]),
            ),
            sampled(
                [[7, 7, 30, 30]], [0], gt_boxes=Boxes(gt_boxes[2:]), gt_index=torch.tensor([6])
            ),
        ],
        num_classes=K,
    )
    assert regions.proposals.tolist() == [[0, 0, 10, 10], [5, 5, 20, 20], [7, 7, 30, 30]]
    assert torch.equal(regions.gt_boxes, gt_boxes)
    assert regions.gt_classes.tolist() == [1, K, 0]
    assert regions.gt_index.tolist() == [4, 0, 6]
    assert regions.foreground.tolist() == [True, False, True]


def test_background_is_k_not_the_largest_label_in_the_batch():
    assert Regions.of([sampled([[0, 0, 9, 9]] * 2, [0, 1])], num_classes=K).foreground.all()
    assert not Regions.of([sampled([[0, 0, 9, 9]] * 2, [K, K])], num_classes=K).foreground.any()


def test_a_region_without_a_label_is_neither_foreground_nor_background():
    regions = Regions.of([sampled([[0, 0, 9, 9]] * 3, [-1, 1, K])], num_classes=K)
    assert regions.labelled.tolist() == [False, True, True]
    assert regions.foreground.tolist() == [False, True, False]
    assert ((regions.gt_classes >= 0) & (regions.gt_classes <= K)).all()  # can be looked up
    assert regions.gt_classes[1:].tolist() == [1, K]


def test_an_image_without_ground_truth():
    """Detectron2 gives its proposals no ``gt_boxes`` then; the other image's stay in step."""
    boxes = [[0, 0, 10, 10], [5, 5, 20, 20]]
    match = {"gt_boxes": Boxes(torch.tensor([[1.0, 1, 11, 11]])), "gt_index": torch.tensor([0])}
    regions = Regions.of(
        [sampled(boxes, [K, K]), sampled([[2, 2, 12, 12]], [1], **match)], num_classes=K
    )
    assert regions.gt_boxes.tolist() == [*boxes, [1, 1, 11, 11]]
    assert regions.gt_index.tolist() == [0, 0, 0]
    assert regions.gt_index.dtype == torch.int64
    assert regions.foreground.tolist() == [False, False, True]


def test_heads_that_do_not_copy_whom_a_region_is_matched_to():
    gt_boxes = Boxes(torch.rand(1, 4))
    regions = Regions.of([sampled([[0, 0, 9, 9]], [1], gt_boxes=gt_boxes)], num_classes=K)
    assert regions.gt_index is None


def test_no_regions():
    regions = Regions.of([sampled([], []), sampled([], [])], num_classes=K)
    assert regions.proposals.shape == regions.gt_boxes.shape == (0, 4)
    assert regions.gt_classes.shape == regions.gt_index.shape == regions.foreground.shape == (0,)


class TestFromDetectron2:
    """What ``label_and_sample_proposals`` really returns."""

    @pytest.fixture
    def roi_heads(self):
        return ROIHeads(
            num_classes=K,
            batch_size_per_image=8,
            positive_fraction=0.5,
            proposal_matcher=Matcher([0.5], [0, 1], allow_low_quality_matches=False),
            proposal_append_gt=True,
        )

    @staticmethod
    def image(boxes, classes):
        boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
        gt = Instances(
            IMAGE_SIZE, gt_boxes=Boxes(boxes), gt_classes=torch.tensor(classes, dtype=torch.int64)
        )
        far_away = torch.tensor([[80.0, 60, 100, 80]])
        proposals = Instances(
            IMAGE_SIZE,
            proposal_boxes=Boxes(torch.cat([boxes + 1, far_away])),
            objectness_logits=torch.zeros(len(boxes) + 1),
        )
        return gt, proposals

    def test_every_foreground_region_knows_its_box(self, roi_heads):
        images = [
            self.image([[0, 0, 20, 20], [30, 30, 50, 60]], [2, 0]),
            self.image([], []),
            self.image([[10, 10, 60, 60]], [1]),
        ]
        gt = with_gt_index([gt for gt, _ in images])
        with EventStorage():
            sampled = roi_heads.label_and_sample_proposals([p for _, p in images], gt)
        regions = Regions.of(sampled, num_classes=K)
        # Each box's shifted copy, and the box itself.
        assert regions.foreground.sum() == 6
        index = regions.gt_index[regions.foreground]
        assert sorted(index.tolist()) == [0, 0, 1, 1, 2, 2]
        all_boxes = torch.cat([g.gt_boxes.tensor for g in gt])
        all_classes = torch.cat([g.gt_classes for g in gt])
        assert torch.equal(regions.gt_boxes[regions.foreground], all_boxes[index])
        assert torch.equal(regions.gt_classes[regions.foreground], all_classes[index])
        # What is looked up of background must at least be there.
        assert ((regions.gt_index >= 0) & (regions.gt_index < len(all_boxes))).all()
