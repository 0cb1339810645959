import pytest
import torch
from detectron2.structures import Boxes, Instances
from hypothesis import given
from hypothesis import strategies as st
from strategies import box_rows, gates

from tadistill.errors import ConfigError
from tadistill.ground_truth import padded_gt_boxes, with_gt_index


def ground_truth(count, seed=0, image_size=(90, 110)):
    boxes = 10 + torch.rand(count, 4, generator=torch.Generator().manual_seed(seed))
    return Instances(
        image_size, gt_boxes=Boxes(boxes), gt_classes=torch.zeros(count, dtype=torch.int64)
    )


def batch(*counts):
    return [ground_truth(count, seed=i, image_size=(90 + i, 110)) for i, count in enumerate(counts)]


@pytest.mark.parametrize("counts", [(3,), (2, 0, 3), (0, 2), (0, 0)])
def test_gt_index_numbers_the_batch(counts):
    gt_instances = batch(*counts)
    indexed = with_gt_index(gt_instances)
    assert [len(gt) for gt in indexed] == list(counts)
    numbers = torch.cat([gt.gt_index for gt in indexed])
    assert numbers.dtype == torch.int64
    assert numbers.tolist() == list(range(sum(counts)))
    for new, old in zip(indexed, gt_instances, strict=True):
        assert new.image_size == old.image_size
        assert torch.equal(new.gt_boxes.tensor, old.gt_boxes.tensor)
        assert torch.equal(new.gt_classes, old.gt_classes)


def test_a_field_of_that_name_is_not_overwritten():
    of_a_mapper = ground_truth(3)
    of_a_mapper.gt_index = torch.arange(3)
    with pytest.raises(ConfigError, match="has a field gt_index already"):
        with_gt_index([ground_truth(2), of_a_mapper])


@given(
    images=st.lists(box_rows(unusable=True), min_size=1, max_size=4),
    some=st.booleans(),
    data=st.data(),
)
def test_padded_boxes_are_those_that_are_kept_in_their_places(images, some, data):
    """NaN and infinite ones too, which leave nothing behind where they are not kept."""
    gt_instances = [
        Instances((90, 110), gt_boxes=Boxes(torch.tensor(rows)), gt_classes=torch.zeros(len(rows)))
        for rows in images
    ]
    everything = [gt.gt_boxes.tensor for gt in gt_instances]
    keep = torch.from_numpy(data.draw(gates(sum(map(len, images))))) if some else None
    padded = padded_gt_boxes(gt_instances, keep)
    assert padded.shape == (len(images), max(map(len, images)), 4)
    verdicts = iter(keep.tolist() if some else [True] * sum(map(len, images)))
    for image, boxes in zip(padded, everything, strict=True):
        for row, box in zip(image[: len(boxes)], boxes, strict=True):
            expected = box if next(verdicts) else torch.zeros(4)
            torch.testing.assert_close(row, expected, rtol=0, atol=0, equal_nan=True)
        assert not image[len(boxes) :].any()


@pytest.mark.parametrize("unusable", [torch.nan, torch.inf, -torch.inf])
def test_a_box_that_is_not_kept_is_zero_whatever_it_was(unusable):
    gt_instances = batch(2)
    gt_instances[0].gt_boxes.tensor[1, 2] = unusable
    padded = padded_gt_boxes(gt_instances, torch.tensor([True, False]))
    assert torch.equal(padded[0, 1], torch.zeros(4))


def test_gt_index_leaves_its_input_alone():
    gt_instances = batch(2, 1)
    with_gt_index(gt_instances)
    assert all(set(gt.get_fields()) == {"gt_boxes", "gt_classes"} for gt in gt_instances)


def test_padded_boxes():
    gt_instances = batch(2, 0, 3)
    padded = padded_gt_boxes(gt_instances)
    assert padded.shape == (3, 3, 4)
    for image, gt in zip(padded, gt_instances, strict=True):
        assert torch.equal(image[: len(gt)], gt.gt_boxes.tensor)
        assert not image[len(gt) :].any()


@pytest.mark.parametrize("counts", [(0,), (0, 0)])
@pytest.mark.parametrize("keep", [None, torch.zeros(0, dtype=torch.bool)])
def test_padded_boxes_of_no_boxes(counts, keep):
    assert padded_gt_boxes(batch(*counts), keep).shape == (len(counts), 0, 4)


def test_boxes_that_are_not_kept_are_zero_in_their_place():
    gt_instances = batch(2, 0, 3)
    keep = torch.tensor([False, True, True, False, True])
    padded = padded_gt_boxes(gt_instances, keep)
    everything = padded_gt_boxes(gt_instances)
    kept = torch.tensor([[0, 1, 0], [0, 0, 0], [1, 0, 1]], dtype=torch.bool)
    assert torch.equal(padded[kept], everything[kept])
    assert not padded[~kept].any()


def test_padded_boxes_leave_their_input_alone():
    gt_instances = batch(2, 1)
    before = [gt.gt_boxes.tensor.clone() for gt in gt_instances]
    padded_gt_boxes(gt_instances, torch.zeros(3, dtype=torch.bool)).add_(1)
    padded_gt_boxes(gt_instances).add_(1)
    for gt, boxes in zip(gt_instances, before, strict=True):
        assert torch.equal(gt.gt_boxes.tensor, boxes)
