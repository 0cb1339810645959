"""Pairs that are found by sorting give the answers that all pairs give."""

import math

import pytest
import torch
from detectron2.structures import Boxes, pairwise_iou
from hypothesis import given
from hypothesis import strategies as st
from strategies import box_rows, seeds
from torch import tensor

from tadistill import near_duplicates
from tadistill.near_duplicates import have_near_duplicates

thresholds = st.sampled_from([0.5, 0.6, 0.7, 0.9, 0.95, 0.999])


@pytest.fixture
def sorting(monkeypatch):
    """However few pairs there are, and however many are candidates."""
    monkeypatch.setattr(near_duplicates, "_FEW_PAIRS", 0)
    monkeypatch.setattr(near_duplicates, "_PICKED_OUT", 1e-3)


def all_pairs(boxes, others, threshold):
    """What it does on a GPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "_can_sort", lambda device: False)
        return have_near_duplicates(boxes, others, threshold)


def same(ones, others):
    return all(torch.equal(one, other) for one, other in zip(ones, others, strict=True))


def float32(rows):
    return torch.as_tensor(rows, dtype=torch.float32).reshape(-1, 4)


def random_boxes(count, seed, side=256.0, smallest=4.0, largest=100.0):
    """(count, 4), of sides that are uniform in their logarithm."""
    generator = torch.Generator().manual_seed(seed)
    centre = side * torch.rand(count, 2, generator=generator)
    low, high = math.log(smallest), math.log(largest)
    half = (low + (high - low) * torch.rand(count, 2, generator=generator)).exp() / 2
    return torch.cat([centre - half, centre + half], dim=1)


images = st.lists(
    st.tuples(box_rows(unusable=True), box_rows(unusable=True), st.booleans()), max_size=4
)


@pytest.mark.usefixtures("sorting")
class TestBySorting:
    @given(images, thresholds)
    def test_as_of_all_pairs(self, images, threshold):
        boxes = [float32(b) for b, _, _ in images]
        others = [float32(b if identical else o) for b, o, identical in images]
        found = have_near_duplicates(boxes, others, threshold)
        assert same(found, all_pairs(boxes, others, threshold))

    @given(seeds, st.sampled_from([1e-3, 1.0, 1e4]), st.sampled_from([0.0, 0.02, 0.1]), thresholds)
    def test_of_boxes_of_any_scale_that_are_moved_a_little(self, seed, scale, by, threshold):
        boxes = random_boxes(300, seed)
        others = boxes.flip(0) + by * torch.randn(300, 4, generator=torch.manual_seed(seed))
        found = have_near_duplicates([boxes * scale], [others * scale], threshold)
        assert same(found, all_pairs([boxes * scale], [others * scale], threshold))
        assert by > 0 or found[0].all()

    @given(seeds, thresholds, st.sampled_from([0, 1, 2, 3]))
    def test_at_the_bounds_where_one_side_alone_differs(self, seed, threshold, side):
        """IoU of t, give or take: the widest that two can differ in one coordinate."""
        boxes = random_boxes(200, seed)
        extent = (boxes[:, 2:] - boxes[:, :2])[:, side % 2]
        others = boxes.clone()
        nearly = torch.linspace(0.99, 1.01, 200)
        outwards = 1 if side >= 2 else -1
        others[:, side] += outwards * nearly * extent * (1 / threshold - 1)
        for one, other in ((boxes, others), (others, boxes)):
            found = have_near_duplicates([one], [other], threshold)
            assert same(found, all_pairs([one], [other], threshold))
        assert threshold > 0.99 or 0 < found[0].sum() < 200

    @pytest.mark.parametrize("moved", [(1000.0, 0.0, 1000.0, 0.0), (0.0, 1000.0, 0.0, 1000.0)])
    @pytest.mark.parametrize("alike", [None, "left edge", "width"])
    @pytest.mark.parametrize("threshold", [0.5, 0.9])
    def test_a_box_of_another_image_is_no_duplicate(self, moved, alike, threshold):
        boxes = random_boxes(50, 0)
        if alike == "left edge":  # they reach further to the right than their left edges lie apart
            boxes -= boxes[:, :1] * torch.tensor([1.0, 0.0, 1.0, 0.0])
        if alike == "width":  # all are in one group, an image's as in the next one's
            boxes[:, 2] = boxes[:, 0] + 32
        elsewhere = boxes + torch.tensor(moved)
        found = have_near_duplicates([boxes, elsewhere], [elsewhere, boxes], threshold)
        assert not torch.cat(found).any()

    @pytest.mark.parametrize("far", [1e6, 1e13, 1e30])
    def test_beside_a_box_that_is_far_larger(self, far):
        boxes = torch.cat([random_boxes(100, 0, smallest=0.5), tensor([[-far, 0.0, far, 1.0]])])
        others = boxes + 0.01 * torch.randn(101, 4, generator=torch.manual_seed(0))
        found = have_near_duplicates([boxes], [others], 0.9)
        assert same(found, all_pairs([boxes], [others], 0.9))
        assert found[0].sum() > 90


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.9, 1.0])
def test_as_detectron2_says(threshold):
    boxes, others = random_boxes(400, 1), random_boxes(400, 2)
    others[:100] = boxes[:100] + 0.5
    (found,) = have_near_duplicates([boxes], [others], threshold)
    expected = (pairwise_iou(Boxes(boxes), Boxes(others)) > threshold).any(dim=1)
    assert torch.equal(found, expected)


def test_few_pairs_are_picked_out_and_none_above_the_threshold_is_missed():
    boxes = random_boxes(2000, 1)
    others = boxes[torch.randperm(2000, generator=torch.manual_seed(0))] + torch.randn(2000, 4)
    of_boxes, of_others = near_duplicates._candidates([boxes], [others], 0.9, at_most=2000**2)
    assert len(of_boxes) < 2000**2 / 200
    is_alike = torch.zeros(2000, 2000, dtype=torch.bool)
    is_alike[of_boxes, of_others] = True
    assert (is_alike | (pairwise_iou(Boxes(boxes), Boxes(others)) <= 0.9)).all()


def test_many_that_are_alike_are_looked_at_side_by_side():
    boxes = torch.tensor([[10.0, 10.0, 50.0, 60.0]]).repeat(500, 1)
    assert near_duplicates._candidates([boxes], [boxes], 0.9, at_most=500**2 // 8) is None
    assert have_near_duplicates([boxes], [boxes], 0.9)[0].all()


@pytest.mark.parametrize("counts", [[], [(0, 0)], [(0, 3), (3, 0)]])
def test_images_without_boxes(counts):
    boxes = [random_boxes(b, 0) for b, _ in counts]
    others = [random_boxes(o, 1) for _, o in counts]
    found = have_near_duplicates(boxes, others, 0.9)
    assert [f.tolist() for f in found] == [[False] * b for b, _ in counts]
