import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from reference import gates as reference
from reference import terms as reference_terms
from reference.boxes import iou
from strategies import box_rows, counts, heads, precisions

from tadistill import gates


@st.composite
def labelled_logits(draw, unusable=("student", "teacher")):
    """Logits of both heads, with labels in [0, K]."""
    student, teacher, labels = draw(heads(unusable))
    student, teacher = (torch.tensor(z).to(draw(precisions)) for z in (student, teacher))
    return student, teacher, torch.from_numpy(labels)


def boxes(*rows):
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


@given(labelled_logits())
def test_label_probability_is_the_softmax(answers):
    logits, _, labels = answers
    probability = gates.label_probability(logits, labels)
    assert probability.dtype == torch.float32
    expected = [
        reference_terms.softmax(row)[y] if reference.finite(row) else math.nan
        for row, y in zip(logits.tolist(), labels.tolist(), strict=True)
    ]
    torch.testing.assert_close(
        probability, torch.tensor(expected), rtol=1e-5, atol=1e-8, equal_nan=True
    )


class TestLogitGate:
    @given(labelled_logits())
    def test_is_the_formula(self, answers):
        student, teacher, labels = answers
        gate = gates.logit_gate(student, teacher, labels)
        assert gate.dtype == torch.bool
        lists = [a.tolist() for a in answers]
        for i, expected in enumerate(reference.logit_gate(*lists)):
            rows = lists[0][i], lists[1][i]
            if reference.finite(*rows) and rows[0] != rows[1]:
                log_p = [reference_terms.log_softmax(z)[lists[2][i]] for z in rows]
                # The same odds in another order are a tie that rounding may break.
                if abs(log_p[0] - log_p[1]) <= 1e-5 + 2e-7 * abs(log_p[0]):
                    continue
            assert gate[i] == expected

    @given(labelled_logits())
    def test_a_tie_is_closed(self, answers):
        """Of identical heads, say."""
        logits, _, labels = answers
        assert not gates.logit_gate(logits, logits.clone(), labels).any()

    def test_is_decided_by_the_label_alone(self):
        student, teacher = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 3.0]])
        verdicts = [gates.logit_gate(student, teacher, torch.tensor([y])).item() for y in range(3)]
        assert verdicts == [False, True, True]

    def test_the_larger_logit_need_not_be_the_larger_probability(self):
        student, teacher = torch.tensor([[1.0, 0.0]]), torch.tensor([[5.0, 9.0]])
        assert not gates.logit_gate(student, teacher, torch.tensor([0])).item()

    def test_tells_two_certain_heads_apart(self):
        """Both probabilities of the label are 1 in float32."""
        student, teacher = torch.tensor([[0.0, -20.0, -9.0]]), torch.tensor([[0.0, -20.0, -12.0]])
        labels = torch.tensor([0])
        assert gates.logit_gate(student, teacher, labels).item()
        assert not gates.logit_gate(teacher, student, labels).item()
        unlikely = torch.tensor([[0.0, -200.0]]), torch.tensor([[0.0, -150.0]])
        assert gates.logit_gate(*unlikely, torch.tensor([1])).item()

    @pytest.mark.parametrize("which", ["student", "teacher"])
    @pytest.mark.parametrize("unusable", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("logit", [0, 1])
    def test_what_is_not_finite_closes(self, which, unusable, logit):
        """Any logit of the row: in the term, all of them count."""
        heads = {"student": torch.tensor([[0.0, 9.0]]), "teacher": torch.tensor([[9.0, 0.0]])}
        assert gates.logit_gate(**logits_of(heads), gt_classes=torch.tensor([0])).item()
        heads[which][0, logit] = unusable
        assert not gates.logit_gate(**logits_of(heads), gt_classes=torch.tensor([0])).item()

    def test_carries_no_gradient(self):
        student, teacher = torch.randn(2, 5, 3, requires_grad=True)
        assert not gates.logit_gate(student, teacher, torch.tensor([0, 1, 2, 0, 1])).requires_grad

    def test_half_precision_is_compared_in_float32(self):
        """The log-probabilities differ by 0.2 percent, less than a bfloat16 tells apart."""
        student, teacher = torch.tensor([[10.0, 0.0]]), torch.tensor([[10.0, -(2.0**-9)]])
        labels = torch.tensor([0])
        assert gates.logit_gate(student.bfloat16(), teacher.bfloat16(), labels).item()


def logits_of(heads):
    return {f"{name}_logits": logits for name, logits in heads.items()}


class TestBoxGate:
    @given(counts, precisions, st.data())
    def test_is_the_formula(self, count, precision, data):
        """Of any boxes: of no or negative size, NaN, infinite."""
        rows = box_rows(st.just(count), unusable=True)
        teacher, references, gt = (torch.tensor(data.draw(rows)).to(precision) for _ in range(3))
        gate = gates.box_gate(teacher, references, gt)
        assert gate.dtype == torch.bool
        assert gate.shape == (count,)
        teacher, references, gt = (rows.tolist() for rows in (teacher, references, gt))
        for i, expected in enumerate(reference.box_gate(teacher, references, gt)):
            if reference.finite(teacher[i], references[i], gt[i]):
                margin = iou(teacher[i], gt[i]) - iou(references[i], gt[i])
                if 0 < abs(margin) <= 1e-6:
                    continue
            assert gate[i] == expected

    def test_a_tie_is_closed(self):
        gt = boxes((0, 0, 10, 10), (0, 0, 10, 10), (0, 0, 10, 10))
        teacher = boxes((2, 0, 12, 10), (0, 0, 10, 10), (50, 50, 60, 60))
        # As far off on the other side; exact both; beside it both.
        other = boxes((-2, 0, 8, 10), (0, 0, 10, 10), (20, 20, 40, 40))
        assert gates.box_gate(teacher, other, gt).tolist() == [False] * 3

    @pytest.mark.parametrize("unusable", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("corner", range(4))
    @pytest.mark.parametrize("which", range(3))
    def test_a_box_that_is_not_finite_closes(self, unusable, corner, which):
        rows = [boxes((0, 0, 10, 10)), boxes((50, 50, 60, 60)), boxes((0, 0, 10, 10))]
        assert gates.box_gate(*rows).all()
        rows[which][0, corner] = unusable
        assert not gates.box_gate(*rows).any()

    def test_a_degenerate_match_closes(self):
        point = boxes((5, 5, 5, 5))
        assert not gates.box_gate(point, point, point).any()

    def test_carries_no_gradient(self):
        gt = boxes((0, 0, 10, 10))
        teacher, other = (gt + 1).requires_grad_(), (gt + 2).requires_grad_()
        gate = gates.box_gate(teacher, other, gt)
        assert gate.all()
        assert not gate.requires_grad


class TestInstanceGate:
    @given(answers=labelled_logits(), num_gt=st.integers(1, 4), data=st.data())
    def test_is_the_formula(self, answers, num_gt, data):
        student, teacher, labels = answers
        regions, background = len(labels), student.shape[1] - 1
        foreground = labels < background
        index = data.draw(npst.arrays(int, regions, elements=st.integers(0, num_gt - 1))).tolist()
        gate = gates.instance_gate(
            student, teacher, labels, foreground, torch.tensor(index, dtype=torch.int64), num_gt
        )
        assert gate.dtype == torch.bool
        assert gate.shape == (num_gt,)
        leads = reference.instance_lead(
            student.tolist(), teacher.tolist(), labels.tolist(), foreground.tolist(), index, num_gt
        )
        for box, lead in enumerate(leads):
            # A sum of 500, in which the order of the same odds is rounded another way.
            if (lead == 0 and torch.equal(student, teacher)) or not abs(lead) <= 1e-4:
                assert gate[box] == (lead > 0)

    def gate(self, student, teacher, labels, index, num_gt, classes=2):
        labels = torch.tensor(labels)
        return gates.instance_gate(
            torch.tensor(student),
            torch.tensor(teacher),
            labels,
            labels < classes,
            torch.tensor(index),
            num_gt,
        ).tolist()

    # Of three classes the last is background; the label is 0: sure, undecided, wrong.
    SURE, UNSURE, WRONG = [4.0, 0.0, 0.0], [0.0, 0.0, 0.0], [-4.0, 0.0, 0.0]

    def test_sums_over_the_proposals_of_a_box(self):
        # The teacher loses two regions by a little and wins one by a lot.
        student = [[0.2, 0.0, 0.0], [0.2, 0.0, 0.0], self.WRONG]
        teacher = [self.UNSURE, self.UNSURE, self.SURE]
        assert self.gate(student, teacher, [0, 0, 0], [0, 0, 0], 1) == [True]
        # The same three regions of three boxes.
        assert self.gate(student, teacher, [0, 0, 0], [0, 1, 2], 3) == [False, False, True]

    def test_a_box_without_proposals_is_closed(self):
        assert self.gate([self.WRONG], [self.SURE], [0], [1], 3) == [False, True, False]

    def test_background_does_not_count(self):
        # Matched to box 0 as background: the teacher is better at it, and is not asked.
        student, teacher = [[0.0, 0.0, -4.0]], [[0.0, 0.0, 4.0]]
        assert self.gate(student, teacher, [2], [0], 2) == [False, False]

    def test_nan_of_a_background_region_does_not_spread(self):
        student, teacher = [[math.nan] * 3, self.WRONG], [self.SURE, self.SURE]
        assert self.gate(student, teacher, [2, 0], [0, 0], 1) == [True]

    def test_nan_of_a_foreground_region_closes(self):
        student, teacher = [[math.nan] * 3, self.WRONG], [self.SURE, self.SURE]
        assert self.gate(student, teacher, [0, 0], [0, 0], 1) == [False]

    def test_a_tie_is_closed(self):
        logits = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
        labels = torch.arange(64) % 4
        foreground = torch.ones(64, dtype=torch.bool)
        index = torch.arange(64) % 7
        assert not gates.instance_gate(logits, logits.clone(), labels, foreground, index, 7).any()

    @pytest.mark.parametrize("regions", [0, 3])
    def test_no_ground_truth(self, regions):
        """All is background, and its index, which points nowhere, is not looked up."""
        logits = torch.randn(2, regions, 3)
        labels = torch.full((regions,), 2)
        gate = gates.instance_gate(*logits, labels, labels < 2, torch.zeros_like(labels), 0)
        assert gate.shape == (0,)
        assert gate.dtype == torch.bool

    def test_carries_no_gradient(self):
        student, teacher = torch.randn(2, 3, 3, requires_grad=True)
        labels = torch.zeros(3, dtype=torch.int64)
        assert not gates.instance_gate(
            student, teacher, labels, labels < 2, labels, 1
        ).requires_grad


class TestShare:
    @given(st.data(), counts)
    def test_is_the_count(self, data, regions):
        gate, among = (data.draw(npst.arrays(bool, regions)) for _ in range(2))
        share = gates.share(torch.from_numpy(gate), torch.from_numpy(among))
        assert share.shape == ()
        assert share.item() == pytest.approx(reference.share(gate, among))

    def test_of_all_regions(self):
        assert gates.share(torch.tensor([True, False, False, True, False])).item() == (
            pytest.approx(0.4)
        )

    def test_of_no_regions(self):
        nothing = torch.zeros(0, dtype=torch.bool)
        assert gates.share(nothing) == 0
        assert gates.share(nothing, nothing) == 0
        assert gates.share(torch.tensor([True]), torch.tensor([False])) == 0
