import math

import numpy as np
import pytest
import torch
from detectron2.modeling.anchor_generator import DefaultAnchorGenerator
from hypothesis import given
from hypothesis import strategies as st
from reference import mask as reference
from strategies import box_rows, counts, precisions

from tadistill.terms import anchor_mask, box_mask, gaussian_mask, gaussian_masks

SIGMA = math.sqrt(2)


def boxes_tensor(*images):
    """(N, G, 4) of lists of boxes, padded with zeros."""
    most = max(len(image) for image in images)
    padded = [list(image) + [(0, 0, 0, 0)] * (most - len(image)) for image in images]
    return torch.tensor(padded, dtype=torch.float32).reshape(len(images), most, 4)


def assert_is_reference(boxes, size, stride, sigma=SIGMA):
    mask = gaussian_mask(boxes, size, stride, sigma)
    expected = torch.tensor(reference.gaussian_mask(boxes.tolist(), size, stride, sigma))
    expected = expected.reshape(mask.shape)
    torch.testing.assert_close(mask, expected, rtol=1e-5, atol=1e-7)
    # "Inside" is exact: not a cell more, and none less.
    assert torch.equal(mask > 0, expected > 0)
    return mask


@given(
    data=st.data(),
    boxes=counts,
    images=st.integers(1, 3),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)) | st.just((1, 1)),
    stride=st.sampled_from([1, 4, 8, 16, 32, 64]),
    sigma=st.floats(0.25, 4),
    precision=precisions,
)
def test_any_boxes(data, boxes, images, size, stride, sigma, precision):
    """NaN and infinite ones among them, and of no or negative size."""
    rows = [data.draw(box_rows(st.just(boxes), unusable=True)) for _ in range(images)]
    rows = torch.tensor(np.stack(rows)).to(precision)
    mask = assert_is_reference(rows, size, stride, sigma)
    assert mask.dtype == torch.float32
    assert mask.shape == (images, *size)
    assert ((mask >= 0) & (mask <= 1)).all()


@pytest.mark.parametrize("stride", [4, 8, 16, 32, 64])
def test_a_peak_of_one_at_the_centre_of_the_box_alone(stride):
    # The centre of row 2, column 3 is at (3.5, 2.5) cells, not at (3, 2).
    x, y = 3.5 * stride, 2.5 * stride
    box = (x - 1.5 * stride, y - 2.5 * stride, x + 1.5 * stride, y + 2.5 * stride)
    mask = assert_is_reference(boxes_tensor([box]), (6, 7), stride)[0]
    assert mask[2, 3] == 1
    assert (mask == 1).sum() == 1


def test_falls_by_the_formula_to_the_edge():
    # Nine cells high and wide; its centre is the centre of cell (4, 4).
    mask = gaussian_mask(boxes_tensor([(4, 4, 68, 68)]), (9, 9), stride=8, sigma=SIGMA)[0]
    # The centres of the cells in row and column 0 and 8 lie on the edge, which belongs to the
    # box: half a box away, hence exp(-1 / sigma^2).
    assert mask[4, 0] == pytest.approx(math.exp(-1 / 2))
    assert mask[4, 8] == pytest.approx(math.exp(-1 / 2))
    assert mask[0, 4] == pytest.approx(math.exp(-1 / 2))
    assert mask[8, 8] == pytest.approx(math.exp(-1))
    # Halfway to the edge.
    assert mask[4, 2] == pytest.approx(math.exp(-1 / 8))


def test_a_hair_inside_the_edge_is_outside_the_box():
    mask = gaussian_mask(boxes_tensor([(4.01, 4.01, 67.99, 67.99)]), (9, 9), 8, SIGMA)[0]
    inside = torch.zeros(9, 9, dtype=torch.bool)
    inside[1:8, 1:8] = True
    assert torch.equal(mask > 0, inside)


def test_width_and_height_are_not_confused():
    mask = assert_is_reference(boxes_tensor([(0, 16, 64, 32)]), (5, 11), stride=8)[0]
    inside = torch.zeros(5, 11, dtype=torch.bool)
    inside[2:4, 0:8] = True
    assert torch.equal(mask > 0, inside)


def test_the_maximum_where_boxes_overlap():
    one, other = (0, 0, 60, 60), (30, 20, 90, 70)
    both = assert_is_reference(boxes_tensor([one, other]), (12, 12), stride=8)
    apart = [gaussian_mask(boxes_tensor([box]), (12, 12), 8, SIGMA) for box in (one, other)]
    assert torch.equal(both, torch.maximum(*apart))
    assert ((apart[0] > 0) & (apart[1] > 0)).any()
    assert both.max() <= 1


@pytest.mark.parametrize(
    ("box", "cells"),
    [
        pytest.param((-40, -40, 19, 19), 4, id="over the upper left corner"),
        pytest.param((40, 30, 400, 300), 12, id="over the lower right corner"),
        pytest.param((-500, -500, 500, 500), 64, id="around the map"),
        pytest.param((-90, 0, -10, 60), 0, id="left of the map"),
        pytest.param((64, 0, 128, 64), 0, id="touching the map from the right"),
        pytest.param((0, 100, 60, 160), 0, id="below the map"),
    ],
)
def test_a_box_that_leaves_the_map(box, cells):
    mask = assert_is_reference(boxes_tensor([box]), (8, 8), stride=8)
    assert (mask > 0).sum() == cells


@pytest.mark.parametrize(
    ("box", "cells"),
    [
        pytest.param((9, 9, 11, 11), 0, id="between the cell centres"),
        pytest.param((11, 11, 14, 14), 1, id="around one"),
        pytest.param((12, 12, 14, 14), 1, id="its corner on one"),
        pytest.param((12, 12, 20, 20), 4, id="its four corners on four"),
        pytest.param((9, 11, 11, 60), 0, id="thin"),
    ],
)
def test_a_box_smaller_than_a_cell(box, cells):
    mask = assert_is_reference(boxes_tensor([box]), (8, 8), stride=8)
    assert (mask > 0).sum() == cells


@pytest.mark.parametrize(
    "box",
    [
        pytest.param((0, 0, 0, 0), id="padding"),
        pytest.param((12, 12, 12, 12), id="a point on a cell centre"),
        pytest.param((12, 0, 12, 40), id="no width"),
        pytest.param((0, 12, 40, 12), id="no height"),
        pytest.param((40, 0, 8, 40), id="negative width"),
        pytest.param((0, 40, 40, 8), id="negative height"),
        pytest.param((40, 40, 8, 8), id="both negative"),
    ],
)
def test_a_box_without_an_inside(box):
    assert not assert_is_reference(boxes_tensor([box]), (6, 6), stride=8).any()


@pytest.mark.parametrize("unusable", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("corner", range(4))
def test_a_box_that_is_not_finite_has_no_inside_and_leaves_others_alone(unusable, corner):
    broken, sound = [0.0, 0.0, 40.0, 40.0], (8, 8, 40, 40)
    broken[corner] = unusable
    mask = assert_is_reference(boxes_tensor([broken, sound]), (6, 6), stride=8)
    assert torch.equal(mask, gaussian_mask(boxes_tensor([sound]), (6, 6), 8, SIGMA))


def test_no_boxes_at_all():
    mask = gaussian_mask(torch.zeros(2, 0, 4), (5, 3), 8, SIGMA)
    assert torch.equal(mask, torch.zeros(2, 5, 3))


@pytest.mark.parametrize("count", [15, 16, 17, 32, 50])
def test_a_crowded_image(count):
    # One box a cell, in a row, so that a chunk that is dropped leaves a hole.
    row = [(8 * j + 1, 1, 8 * j + 7, 7) for j in range(count)]
    mask = assert_is_reference(boxes_tensor(row), (2, count + 1), stride=8)[0]
    assert torch.equal(mask[0], torch.tensor([1.0] * count + [0.0]))
    assert not mask[1].any()


def test_images_of_a_batch_are_apart():
    crowd = [(3 * g, 2 * g, 3 * g + 20, 2 * g + 30) for g in range(20)]
    images = [[(8, 8, 40, 56)], [], crowd]
    batch = assert_is_reference(boxes_tensor(*images), (7, 9), stride=8)
    for mask, image in zip(batch, images, strict=True):
        alone = gaussian_mask(boxes_tensor(image), (7, 9), 8, SIGMA)[0]
        assert torch.equal(mask, alone)
    assert not batch[1].any()


def test_a_map_of_one_cell():
    mask = gaussian_mask(boxes_tensor([(0, 0, 64, 64)]), (1, 1), stride=64, sigma=SIGMA)
    assert torch.equal(mask, torch.ones(1, 1, 1))


def test_a_wider_sigma_is_a_flatter_mask():
    boxes = boxes_tensor([(0, 0, 64, 64)])
    narrow, wide = (gaussian_mask(boxes, (8, 8), 8, sigma) for sigma in (0.5, 2.0))
    assert (narrow < wide).all()
    torch.testing.assert_close(narrow.log(), wide.log() * 16)


def test_is_float32_without_a_graph():
    boxes = boxes_tensor([(0, 0, 64, 64)]).double().requires_grad_()
    mask = gaussian_mask(boxes, (8, 8), 8, SIGMA)
    assert mask.dtype == torch.float32
    assert not mask.requires_grad


def test_of_several_levels_are_those_of_each():
    boxes = 40 * torch.rand(2, 20, 4, generator=torch.Generator().manual_seed(0))
    boxes[..., 2:] += boxes[..., :2]
    sizes, strides = [(20, 24), (10, 12), (3, 1)], [4, 8, 32]
    masks = gaussian_masks(boxes, sizes, strides, SIGMA)
    for mask, size, stride in zip(masks, sizes, strides, strict=True):
        assert mask.any()
        assert torch.equal(mask, gaussian_mask(boxes, size, stride, SIGMA))


sizes = st.tuples(st.integers(1, 9), st.integers(1, 9)) | st.just((1, 1))


@given(
    data=st.data(),
    boxes=counts,
    images=st.integers(1, 3),
    size=sizes,
    stride=st.sampled_from([1, 4, 8, 16, 32, 64]),
    precision=precisions,
)
def test_a_box_mask_is_one_in_any_boxes(data, boxes, images, size, stride, precision):
    rows = [data.draw(box_rows(st.just(boxes), unusable=True)) for _ in range(images)]
    rows = torch.tensor(np.stack(rows)).to(precision)
    mask = box_mask(rows, size, stride)
    expected = torch.tensor(reference.box_mask(rows.tolist(), size, stride), dtype=torch.float32)
    assert torch.equal(mask, expected.reshape(mask.shape))
    assert torch.equal(mask, (gaussian_mask(rows, size, stride, SIGMA) > 0).float())


def anchors_of(size, stride, sides=(24.0,), ratios=(0.5, 1.0, 2.0)):
    """(H, W, A, 4), as Detectron2's RPN has them."""
    generator = DefaultAnchorGenerator(sizes=[sides], aspect_ratios=[ratios], strides=[stride])
    [anchors] = generator([torch.zeros(1, 1, *size)])
    return anchors.tensor.view(*size, -1, 4)


@given(
    data=st.data(),
    boxes=st.sampled_from([0, 1, 2, 3, 4, 5, 9]),
    images=st.integers(1, 3),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.sampled_from([4, 16, 64]),
    sides=st.sampled_from([(8.0,), (32.0,), (8.0, 32.0)]),
    psi=st.sampled_from([0.0, 0.5, 0.75]),
)
def test_an_anchor_mask_of_any_boxes(data, boxes, images, size, stride, sides, psi):
    rows = np.stack([data.draw(box_rows(st.just(boxes), unusable=True)) for _ in range(images)])
    rows = torch.tensor(rows, dtype=torch.float32)
    # Of sides on quarters, so that a tie with the threshold is one in float32 too.
    anchors = anchors_of(size, stride, sides, ratios=(0.25, 1.0, 4.0))
    mask = anchor_mask(rows, anchors, psi)
    expected = reference.anchor_mask(rows.tolist(), anchors.tolist(), psi)
    assert torch.equal(mask, torch.tensor(expected, dtype=torch.float32).reshape(mask.shape))
    assert mask.dtype == torch.float32


class TestAnAnchorMask:
    def test_has_the_cells_whose_anchors_fit(self):
        # Anchors of 16 on a stride of 8: one of them is the box. One cell on, the IoU is 1/3.
        box = (24 - 4, 16 - 4, 40 - 4, 32 - 4)
        anchors = anchors_of((6, 8), 8, sides=(16.0,), ratios=(1.0,))
        assert anchors[2, 3, 0].tolist() == list(box)
        mask = anchor_mask(boxes_tensor([box]), anchors)[0]
        assert mask.nonzero().tolist() == [[2, 3]]
        looser = anchor_mask(boxes_tensor([box]), anchors, psi=0.3)[0]
        assert looser.nonzero().tolist() == [[1, 3], [2, 2], [2, 3], [2, 4], [3, 3]]

    def test_is_relative_to_the_best_anchor_of_the_level(self):
        # A box far larger than any anchor: each that lies in it fits it as well as the others.
        mask = anchor_mask(boxes_tensor([(0, 0, 64, 64)]), anchors_of((8, 8), 8, (8.0,), (1.0,)))
        assert mask.all()

    def test_unites_the_boxes_of_an_image_and_keeps_images_apart(self):
        anchors = anchors_of((9, 9), 8)
        one, other = (0, 0, 24, 20), (40, 36, 70, 60)
        apart = [anchor_mask(boxes_tensor([box]), anchors) for box in (one, other)]
        batch = anchor_mask(boxes_tensor([one, other], [other], []), anchors)
        assert torch.equal(batch[0], torch.maximum(*apart)[0])
        assert torch.equal(batch[1], apart[1][0])
        assert not batch[2].any()
        assert not torch.equal(*apart)

    def test_no_trace_of_boxes_that_are_padding_or_touch_no_anchor(self):
        anchors = anchors_of((4, 4), 8, (8.0,), (1.0,))
        assert not anchor_mask(boxes_tensor([(0, 0, 0, 0), (100, 100, 120, 120)]), anchors).any()
        assert anchor_mask(torch.zeros(2, 0, 4), anchors).shape == (2, 4, 4)

    @pytest.mark.parametrize("count", [3, 4, 5, 9])
    def test_a_crowded_image(self, count):
        row = [(8 * j, 0, 8 * j + 8, 8) for j in range(count)]
        mask = anchor_mask(boxes_tensor(row), anchors_of((2, count + 1), 8, (8.0,), (1.0,)))[0]
        assert torch.equal(mask[0], torch.tensor([1.0] * count + [0.0]))
        assert not mask[1].any()
