import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import terms as reference
from strategies import finite_rows, float32, gates, precisions
from strategies import heads as any_heads

from tadistill.gates import logit_gate
from tadistill.terms import logit_term

DIVERGENCES = {"kl": reference.kl, "bce": reference.bce}
GRADIENTS = {"kl": reference.kl_gradient, "bce": reference.bce_gradient}
either_loss = pytest.mark.parametrize("loss", DIVERGENCES)


def heads(regions=6, classes=4, seed=0, scale=3.0):
    """The student's logits, a leaf that gets a gradient; the teacher's; a gate, half open."""
    generator = torch.Generator().manual_seed(seed)
    student, teacher = scale * torch.randn(2, regions, classes + 1, generator=generator)
    gate = torch.arange(regions) % 2 == 0
    return student.requires_grad_(), teacher, gate


def expected(student, teacher, gate, tau, loss):
    arguments = student.tolist(), teacher.tolist(), gate.tolist()
    return reference.logit_term(*arguments, tau, DIVERGENCES[loss])


@st.composite
def answers(draw):
    """Of both heads, with a gate that is closed where they are not finite."""
    student, teacher, _ = draw(any_heads(unusable=("student", "teacher")))
    gate = draw(gates(len(student))) & finite_rows(student) & finite_rows(teacher)
    student = torch.tensor(student).to(draw(precisions)).requires_grad_()
    return student, torch.tensor(teacher).to(draw(precisions)), torch.from_numpy(gate)


def rounding(student, gate, tau):
    """What float32 may lose of a term: its logarithms are as large as the logits."""
    largest = student.detach()[gate].abs().max().item() if gate.any() else 0
    return 1e-4 + 1e-6 * tau * largest


@either_loss
@given(answers=answers(), tau=st.floats(0.5, 8))
def test_is_the_formula(loss, answers, tau):
    term = logit_term(*answers, tau, loss)
    assert term.shape == ()
    assert term.dtype == torch.float32
    assert term.item() == pytest.approx(
        expected(*answers, tau, loss), rel=1e-4, abs=rounding(answers[0], answers[2], tau)
    )


@either_loss
@given(answers=answers(), tau=st.floats(0.5, 8))
def test_gradient_is_that_of_the_formula(loss, answers, tau):
    """For KL: the difference of the distributions."""
    student, teacher, gate = answers
    logit_term(student, teacher, gate, tau, loss).backward()
    gradient = GRADIENTS[loss](student.tolist(), teacher.tolist(), gate.tolist(), tau)
    gradient = torch.tensor(gradient).reshape(student.shape)
    # A gradient comes in its tensor's own precision.
    tolerance = {torch.float32: 1e-4, torch.float16: 2e-3, torch.bfloat16: 1e-2}[student.dtype]
    torch.testing.assert_close(student.grad.float(), gradient, rtol=tolerance, atol=1e-4)
    assert not student.grad[~gate].any()


@either_loss
@given(answers=any_heads(unusable=("teacher",)), tau=st.floats(0.5, 8))
def test_nothing_that_a_teacher_may_say_gets_through_its_gate_unusable(loss, answers, tau):
    """As in a step: with any numbers of the teacher's, and a student's that are finite."""
    student, teacher = float32(answers[0]).requires_grad_(), float32(answers[1])
    gate = logit_gate(student, teacher, torch.from_numpy(answers[2]))
    term = logit_term(student, teacher, gate, tau, loss)
    term.backward()
    assert term.isfinite()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("lead", [0, 5, 10, 14, 16, 18, 30])
def test_gradient_of_bce_near_certainty(lead):
    """``1 - p`` cancels in float32, ``log(1 - p)`` and its gradient must not."""
    student = torch.tensor([[lead, 0.5, 0.0]], requires_grad=True)
    teacher = torch.tensor([[2.0, 0.0, 0.0]])
    gate = torch.ones(1, dtype=torch.bool)
    logit_term(student, teacher, gate, 1.0, "bce").backward()

    step, z_T = 1e-6, teacher[0].tolist()
    for k in range(3):
        up, down = student[0].tolist(), student[0].tolist()
        up[k] += step
        down[k] -= step
        slope = (reference.bce(z_T, up) - reference.bce(z_T, down)) / (2 * step)
        assert student.grad[0, k].item() == pytest.approx(slope, rel=1e-4, abs=1e-5)


@either_loss
def test_normalised_by_all_regions_not_by_the_open_ones(loss):
    student, teacher, gate = heads(regions=4)
    gate = torch.tensor([True, False, False, False])
    alone = logit_term(student[:1], teacher[:1], gate[:1], loss=loss)
    torch.testing.assert_close(logit_term(student, teacher, gate, loss=loss), alone / 4)


@either_loss
def test_temperature_is_made_up_for_by_its_square(loss):
    student, teacher, gate = heads()
    hot = logit_term(3 * student, 3 * teacher, gate, 3.0, loss)
    torch.testing.assert_close(hot, 9 * logit_term(student, teacher, gate, 1.0, loss))


@either_loss
def test_a_closed_gate_is_zero_with_a_graph(loss):
    student, teacher, gate = heads()
    term = logit_term(student, teacher, torch.zeros_like(gate), 2.0, loss)
    assert term == 0
    term.backward()
    assert torch.equal(student.grad, torch.zeros_like(student))


@either_loss
def test_rows_behind_a_closed_gate_have_no_influence(loss):
    student, teacher, gate = heads()
    term = logit_term(student, teacher, gate, 2.0, loss)
    term.backward()
    assert not student.grad[~gate].any()
    assert student.grad[gate].any(dim=1).all()
    teacher[~gate] += 5 * torch.randn(teacher[~gate].shape)
    assert logit_term(student, teacher, gate, 2.0, loss) == term


@either_loss
@pytest.mark.parametrize("broken", [torch.nan, torch.inf, -torch.inf])
def test_no_number_behind_a_closed_gate_gets_through(loss, broken):
    student, teacher, gate = heads()
    expected_term = logit_term(student, teacher, gate, 2.0, loss)
    expected_term.backward()
    expected_gradient = student.grad.clone()

    student.grad = None
    teacher[~gate] = broken
    term = logit_term(student, teacher, gate, 2.0, loss)
    term.backward()
    assert term == expected_term
    assert torch.equal(student.grad, expected_gradient)
    assert student.grad.isfinite().all()


@either_loss
@pytest.mark.parametrize("broken", [torch.nan, torch.inf, -torch.inf])
def test_the_student_behind_a_closed_gate_has_no_influence(loss, broken):
    student, teacher, gate = heads()
    expected_term = logit_term(student, teacher, gate, 2.0, loss)
    student = student.detach().clone()
    student[~gate, 1] = broken
    student.requires_grad_()
    term = logit_term(student, teacher, gate, 2.0, loss)
    term.backward()
    assert term == expected_term
    assert not student.grad[~gate].any()


@either_loss
@pytest.mark.parametrize("which", [0, 1])
def test_nan_behind_an_open_gate_is_not_hidden(loss, which):
    student, teacher, gate = heads()
    with torch.no_grad():
        (student, teacher)[which][0, 0] = torch.nan
    assert logit_term(student, teacher, gate, 2.0, loss).isnan()


@either_loss
def test_no_regions_at_all_is_zero_with_a_graph(loss):
    student, teacher, gate = heads(regions=0)
    term = logit_term(student, teacher, gate, 2.0, loss)
    assert term == 0
    term.backward()
    assert student.grad.shape == student.shape


@either_loss
def test_one_class(loss):
    student, teacher, gate = heads(classes=1)
    term = logit_term(student, teacher, gate, 2.0, loss)
    assert term.item() == pytest.approx(expected(student, teacher, gate, 2.0, loss), rel=1e-5)


def test_equal_heads_have_no_divergence():
    student, _, gate = heads()
    term = logit_term(student, student.detach().clone(), gate, 2.0, "kl")
    assert term == 0
    term.backward()
    torch.testing.assert_close(student.grad, torch.zeros_like(student), rtol=0, atol=1e-6)


def test_equal_heads_have_no_gradient_of_bce():
    """The value is the entropy, not zero; the minimum is where the heads agree."""
    student, _, gate = heads()
    term = logit_term(student, student.detach().clone(), gate, 2.0, "bce")
    assert term > 0
    term.backward()
    torch.testing.assert_close(student.grad, torch.zeros_like(student), rtol=0, atol=1e-5)


@either_loss
@pytest.mark.parametrize("classes", [1, 3])
def test_extreme_logits_stay_finite(loss, classes):
    most = 1e4
    certain = torch.full((classes + 1, classes + 1), -most)
    certain.fill_diagonal_(most)
    rows = torch.cat([certain, certain.flip(1), torch.zeros(1, classes + 1), certain * 0 + most])
    # Every answer against every other.
    student = rows.repeat(len(rows), 1).requires_grad_()
    teacher = rows.repeat_interleave(len(rows), dim=0)
    gate = torch.ones(len(student), dtype=torch.bool)
    term = logit_term(student, teacher, gate, 1.0, loss)
    assert term.item() == pytest.approx(expected(student, teacher, gate, 1.0, loss), rel=1e-4)
    term.backward()
    assert student.grad.isfinite().all()
    assert student.grad.abs().max() == pytest.approx(
        {"kl": 1, "bce": 2}[loss] / len(gate), rel=1e-2
    )


@either_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(loss, dtype):
    student, teacher, gate = heads(scale=8.0)
    student = student.detach().to(dtype).requires_grad_()
    term = logit_term(student, teacher.to(dtype), gate, 2.0, loss)
    assert term.dtype == torch.float32
    reference_term = expected(student, teacher.to(dtype), gate, 2.0, loss)
    assert term.item() == pytest.approx(reference_term, rel=1e-5)
    term.backward()
    assert student.grad.isfinite().all()
    assert student.grad[gate].any()


@either_loss
def test_the_teacher_gets_no_gradient(loss):
    student, teacher, gate = heads()
    teacher.requires_grad_()
    logit_term(student, teacher, gate, 2.0, loss).backward()
    assert teacher.grad is None
    assert student.grad.any()
