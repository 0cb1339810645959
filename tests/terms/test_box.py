import math

import pytest
import torch
from detectron2.modeling.box_regression import Box2BoxTransform
from hypothesis import given
from hypothesis import strategies as st
from reference import terms as reference
from strategies import box_rows, counts, finite_rows, float32, gates, number_rows, precisions

from tadistill.box_coding import encode_boxes
from tadistill.gates import box_gate
from tadistill.terms import box_term

either_form = pytest.mark.parametrize("beta", [0.0, 0.5], ids=["L1", "smooth L1"])


def deltas(regions=6, seed=0):
    """The student's deltas, a leaf that gets a gradient; the targets; a gate, half open."""
    generator = torch.Generator().manual_seed(seed)
    student, target = torch.randn(2, regions, 4, generator=generator)
    gate = torch.arange(regions) % 2 == 0
    return student.requires_grad_(), target, gate


@st.composite
def answers(draw):
    """Of both heads, with a gate that is closed where they are not finite."""
    regions = draw(counts)
    rows = number_rows(regions, 4, largest=16, extremes=(1e4, -1e4), unusable=True)
    student, target = draw(rows), draw(rows)
    if draw(st.integers(0, 7)) == 0:
        target = student.copy()
    gate = draw(gates(regions)) & finite_rows(student) & finite_rows(target)
    student = torch.tensor(student).to(draw(precisions)).requires_grad_()
    return student, torch.tensor(target).to(draw(precisions)), torch.from_numpy(gate)


@given(answers=answers(), beta=st.just(0.0) | st.floats(0.01, 4))
def test_is_the_formula(answers, beta):
    student, target, gate = answers
    term = box_term(*answers, beta)
    assert term.shape == ()
    assert term.dtype == torch.float32
    expected = reference.box_term(student.tolist(), target.tolist(), gate.tolist(), beta)
    assert term.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    term.backward()
    assert student.grad.isfinite().all()
    assert student.grad.abs().max().item() <= 1.01 / len(gate) if len(gate) else True
    assert not student.grad[~gate].any()


@given(
    data=st.data(),
    regions=counts,
    of=st.sampled_from(["student", "proposal"]),
    beta=st.just(0.0) | st.floats(0.01, 4),
)
def test_nothing_that_a_teacher_may_say_gets_through_its_gate_unusable(data, regions, of, beta):
    """Deltas decoded, gated, encoded: as in a step, with any numbers of the teacher's, and any
    ground truth.
    """
    transform = Box2BoxTransform(weights=(10.0, 10.0, 5.0, 5.0))
    proposals = float32(data.draw(box_rows(st.just(regions), low=0, proper=True)))
    gt_boxes = float32(data.draw(box_rows(st.just(regions), low=0, unusable=True)))
    student = float32(data.draw(number_rows(regions, 4))).requires_grad_()
    extremes = (1e4, -1e4, 1e30, -1e30)
    teacher = data.draw(number_rows(regions, 4, extremes=extremes, unusable=True))
    boxes_T = transform.apply_deltas(float32(teacher), proposals)
    boxes_S = transform.apply_deltas(student.detach(), proposals)
    gate = box_gate(boxes_T, boxes_S if of == "student" else proposals, gt_boxes)
    target = encode_boxes(boxes_T, proposals, transform.weights)
    term = box_term(student, target, gate, beta)
    term.backward()
    assert term.isfinite()
    assert student.grad.isfinite().all()
    assert not gate[~boxes_T.isfinite().all(dim=1)].any()


@either_form
def test_gradient_is_that_of_the_formula(beta):
    student, target, gate = deltas()
    box_term(student, target, gate, beta).backward()
    difference = (student - target).detach()
    slope = difference.sign() if beta == 0 else (difference / beta).clamp(-1, 1)
    torch.testing.assert_close(student.grad, gate[:, None] * slope / len(gate))


def test_the_two_pieces_of_smooth_l1():
    student, target = torch.zeros(1, 4), torch.tensor([[0.5, -0.5, 3.0, 2.0]])
    gate = torch.ones(1, dtype=torch.bool)
    assert box_term(student, target, gate, beta=2.0) == 2 * 0.0625 + (3 - 1) + (2 - 1)
    assert box_term(student, target, gate, beta=0.0) == 0.5 + 0.5 + 3 + 2


@either_form
def test_normalised_by_all_regions_not_by_the_open_ones(beta):
    student, target, _ = deltas(regions=4)
    gate = torch.tensor([False, True, False, False])
    alone = box_term(student[1:2], target[1:2], gate[1:2], beta)
    torch.testing.assert_close(box_term(student, target, gate, beta), alone / 4)


@either_form
@pytest.mark.parametrize("unusable", [math.nan, math.inf, -math.inf, 1e30])
def test_a_target_behind_a_closed_gate_has_no_influence(beta, unusable):
    student, target, gate = deltas()
    term = box_term(student, target, gate, beta)
    term.backward()
    gradient = student.grad.clone()

    student.grad = None
    target[~gate] = unusable
    again = box_term(student, target, gate, beta)
    again.backward()
    assert again == term
    assert torch.equal(student.grad, gradient)
    assert not gradient[~gate].any()


@either_form
@pytest.mark.parametrize("unusable", [math.nan, math.inf, -math.inf])
def test_the_student_behind_a_closed_gate_has_no_influence(beta, unusable):
    student, target, gate = deltas()
    term = box_term(student, target, gate, beta)
    broken = student.detach().clone()
    broken[~gate] = unusable
    broken.requires_grad_()
    again = box_term(broken, target, gate, beta)
    again.backward()
    assert again == term
    assert not broken.grad[~gate].any()


@either_form
@pytest.mark.parametrize("which", [0, 1])
def test_nan_behind_an_open_gate_is_not_hidden(beta, which):
    student, target, gate = deltas()
    with torch.no_grad():
        (student, target)[which][0, 0] = math.nan
    assert box_term(student, target, gate, beta).isnan()


@either_form
def test_a_closed_gate_is_zero_with_a_graph(beta):
    student, target, gate = deltas()
    term = box_term(student, target, torch.zeros_like(gate), beta)
    assert term == 0
    term.backward()
    assert torch.equal(student.grad, torch.zeros_like(student))


@either_form
def test_no_regions_at_all_is_zero_with_a_graph(beta):
    student, target, gate = deltas(regions=0)
    term = box_term(student, target, gate, beta)
    assert term == 0
    term.backward()
    assert student.grad.shape == (0, 4)


@either_form
def test_equal_boxes_are_zero(beta):
    student, _, gate = deltas()
    term = box_term(student, student.detach().clone(), gate, beta)
    assert term == 0
    term.backward()
    assert not student.grad.any()


@either_form
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(beta, dtype):
    student, target, gate = deltas(regions=400)
    # Their sum is beyond float16.
    student = (300 * student).to(dtype).detach().requires_grad_()
    term = box_term(student, target, gate, beta)
    assert term.dtype == torch.float32
    expected = reference.box_term(student.tolist(), target.tolist(), gate.tolist(), beta)
    assert term.item() == pytest.approx(expected, rel=1e-5)
    term.backward()
    assert student.grad.isfinite().all()
    assert student.grad[gate].any()


@either_form
def test_the_target_gets_no_gradient(beta):
    student, target, gate = deltas()
    target.requires_grad_()
    box_term(student, target, gate, beta).backward()
    assert target.grad is None
    assert student.grad.any()
