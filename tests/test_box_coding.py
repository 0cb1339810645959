import math

import numpy as np
import pytest
import torch
from detectron2.modeling.box_regression import Box2BoxTransform
from hypothesis import given
from hypothesis import strategies as st
from reference import boxes as reference
from strategies import box_rows, counts, number_rows, precisions

from tadistill.box_coding import class_deltas, encode_boxes

WEIGHTS = [(10.0, 10.0, 5.0, 5.0), (1.0, 1.0, 1.0, 1.0), (30.0, 20.0, 15.0, 7.0)]


def float32(rows):
    return torch.tensor(np.array(rows), dtype=torch.float32).reshape(-1, 4)


def random_boxes(count, seed):
    generator = torch.Generator().manual_seed(seed)
    corner, size = torch.rand(2, count, 2, generator=generator)
    return torch.cat([600 * corner, 600 * corner + 4 + 300 * size], dim=1)


class TestEncodeBoxes:
    @given(data=st.data(), count=counts, weights=st.sampled_from(WEIGHTS), precision=precisions)
    def test_is_the_formula(self, data, count, weights, precision):
        """Finite for boxes and proposals of no or negative size too."""
        rows = box_rows(st.just(count), low=-200, high=1400)
        boxes, proposals = (torch.tensor(data.draw(rows)).to(precision) for _ in range(2))
        deltas = encode_boxes(boxes, proposals, weights)
        assert deltas.shape == (count, 4)
        assert deltas.dtype == torch.float32
        assert deltas.isfinite().all()
        expected = [
            reference.encode(box, proposal, weights)
            for box, proposal in zip(boxes.tolist(), proposals.tolist(), strict=True)
        ]
        torch.testing.assert_close(deltas, float32(expected), rtol=1e-5, atol=1e-5)

    @given(data=st.data(), count=counts, weights=st.sampled_from(WEIGHTS))
    def test_a_box_that_is_not_finite_is_its_own_rows_affair(self, data, count, weights):
        boxes = data.draw(box_rows(st.just(count), unusable=True))
        proposals = float32(data.draw(box_rows(st.just(count), proper=True)))
        deltas = encode_boxes(float32(boxes), proposals, weights)
        finite = torch.from_numpy(np.isfinite(boxes).all(axis=1))
        assert torch.equal(deltas.isfinite().all(dim=1), finite)
        alone = encode_boxes(float32(boxes)[finite], proposals[finite], weights)
        assert torch.equal(deltas[finite], alone)

    @pytest.mark.parametrize("weights", WEIGHTS)
    def test_is_the_inverse_of_apply_deltas(self, weights):
        transform = Box2BoxTransform(weights=weights)
        proposals = random_boxes(200, seed=0)
        deltas = torch.randn(200, 4, generator=torch.Generator().manual_seed(1))
        boxes = transform.apply_deltas(deltas, proposals)
        torch.testing.assert_close(
            encode_boxes(boxes, proposals, weights), deltas, rtol=1e-3, atol=1e-2
        )
        expected = [
            reference.decode(d, p, weights)
            for d, p in zip(deltas.tolist(), proposals.tolist(), strict=True)
        ]
        torch.testing.assert_close(boxes, float32(expected), rtol=1e-4, atol=1e-2)

    @pytest.mark.parametrize("weights", WEIGHTS)
    def test_apply_deltas_is_its_inverse(self, weights):
        boxes, proposals = random_boxes(200, seed=2), random_boxes(200, seed=3)
        deltas = encode_boxes(boxes, proposals, weights)
        transform = Box2BoxTransform(weights=weights)
        torch.testing.assert_close(
            transform.apply_deltas(deltas, proposals), boxes, rtol=1e-4, atol=1e-2
        )

    @pytest.mark.parametrize("weights", WEIGHTS)
    def test_agrees_with_detectron2(self, weights):
        boxes, proposals = random_boxes(200, seed=4), random_boxes(200, seed=5)
        theirs = Box2BoxTransform(weights=weights).get_deltas(proposals, boxes)
        torch.testing.assert_close(
            encode_boxes(boxes, proposals, weights), theirs, rtol=1e-4, atol=1e-4
        )

    def test_the_proposal_itself_is_no_move(self):
        proposals = random_boxes(20, seed=6)
        assert not encode_boxes(proposals, proposals.clone(), WEIGHTS[0]).any()

    def test_another_heads_weights_do_not_matter(self):
        """The teacher's deltas, decoded by its own transform, in the student's encoding."""
        proposals = random_boxes(50, seed=7)
        deltas = torch.randn(50, 4, generator=torch.Generator().manual_seed(8))
        teacher, student = WEIGHTS[0], WEIGHTS[1]
        boxes = Box2BoxTransform(weights=teacher).apply_deltas(deltas, proposals)
        torch.testing.assert_close(
            encode_boxes(boxes, proposals, student),
            deltas / torch.tensor(teacher) * torch.tensor(student),
            rtol=1e-3,
            atol=1e-3,
        )

    @pytest.mark.parametrize(
        "degenerate",
        [
            pytest.param((30, 30, 30, 30), id="a point"),
            pytest.param((30, 30, 30, 90), id="no width"),
            pytest.param((30, 90, 60, 30), id="negative height"),
            pytest.param((30, 30, 30 + 1e-5, 90), id="thinner than a float32 there tells"),
        ],
    )
    def test_is_finite_for_degenerate_boxes(self, degenerate):
        degenerate, good = float32([degenerate]), float32([(20, 20, 80, 80)])
        for boxes, proposals in [(degenerate, good), (good, degenerate), (degenerate, degenerate)]:
            assert encode_boxes(boxes, proposals, WEIGHTS[0]).isfinite().all()

    def test_no_boxes(self):
        assert encode_boxes(float32([]), float32([]), WEIGHTS[0]).shape == (0, 4)

    def test_nan_stays_nan(self):
        """A degenerate target is the gate's to hide, not to be made up here."""
        nan = torch.full((1, 4), math.nan)
        assert encode_boxes(nan, float32([(0, 0, 9, 9)]), WEIGHTS[0]).isnan().all()


class TestClassDeltas:
    @given(
        data=st.data(),
        count=counts,
        classes=st.sampled_from([1, 2, 3, 20]),
        agnostic=st.booleans(),
        precision=precisions,
    )
    def test_is_a_choice_of_columns(self, data, count, classes, agnostic, precision):
        """Whatever stands in the columns."""
        columns = 4 if agnostic else 4 * classes
        deltas = torch.tensor(data.draw(number_rows(count, columns, unusable=True))).to(precision)
        labels = torch.from_numpy(
            np.random.default_rng(count).integers(0, classes, count, endpoint=True)
        )
        chosen = class_deltas(deltas, labels, classes)
        assert chosen.dtype == torch.float32
        assert chosen.shape == (count, 4)
        for row, delta, label in zip(chosen, deltas.float(), labels.tolist(), strict=True):
            if label < classes:
                expected = delta.reshape(-1, 4)[0 if agnostic else label]
                torch.testing.assert_close(row, expected, rtol=0, atol=0, equal_nan=True)

    def test_each_region_gets_those_of_its_class(self):
        deltas = torch.randn(40, 4 * 5, generator=torch.Generator().manual_seed(0))
        classes = torch.arange(40) % 5
        chosen = class_deltas(deltas, classes, num_classes=5)
        for i, c in enumerate(classes.tolist()):
            assert torch.equal(chosen[i], deltas[i, 4 * c : 4 * c + 4])

    def test_a_class_agnostic_head_has_but_one(self):
        deltas = torch.randn(6, 4)
        classes = torch.tensor([0, 1, 2, 3, 4, 5])
        assert torch.equal(class_deltas(deltas, classes, num_classes=5), deltas)

    def test_one_class(self):
        deltas = torch.randn(3, 4)
        assert torch.equal(class_deltas(deltas, torch.tensor([0, 1, 0]), num_classes=1), deltas)

    def test_background_gets_some_class(self):
        deltas = torch.arange(8.0).reshape(1, 8)
        chosen = class_deltas(deltas, torch.tensor([2]), num_classes=2)
        assert chosen.tolist() in ([[0, 1, 2, 3]], [[4, 5, 6, 7]])

    @pytest.mark.parametrize("columns", [4, 12])
    def test_no_regions(self, columns):
        chosen = class_deltas(torch.zeros(0, columns), torch.zeros(0, dtype=torch.int64), 3)
        assert chosen.shape == (0, 4)

    def test_gradient_reaches_the_chosen_class_alone(self):
        deltas = torch.randn(2, 12, requires_grad=True)
        class_deltas(deltas, torch.tensor([2, 0]), num_classes=3).sum().backward()
        expected = torch.zeros(2, 12)
        expected[0, 8:12] = 1
        expected[1, 0:4] = 1
        assert torch.equal(deltas.grad, expected)

    @pytest.mark.parametrize("columns", [4, 8])
    def test_is_float32(self, columns):
        deltas = torch.randn(3, columns, dtype=torch.bfloat16)
        chosen = class_deltas(deltas, torch.tensor([0, 1, 0]), num_classes=2)
        assert chosen.dtype == torch.float32
