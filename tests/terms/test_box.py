import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from reference import terms as reference

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
    regions = draw(st.integers(0, 7))
    values = npst.arrays("float32", (regions, 4), elements=st.floats(-16, 16, width=32))
    student, target = (torch.from_numpy(draw(values)) for _ in "ST")
    return student.requires_grad_(), target, torch.from_numpy(draw(npst.arrays(bool, regions)))


@settings(deadline=None, max_examples=80)
@given(answers=answers(), beta=st.just(0.0) | st.floats(0.01, 4))
def test_is_the_formula(answers, beta):
    term = box_term(*answers, beta)
    assert term.shape == ()
    assert term.dtype == torch.float32
    expected = reference.box_term(*(a.tolist() for a in answers), beta)
    assert term.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


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
