import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import terms as reference
from strategies import broken, precisions

from tadistill.terms import feature_term


def levels(seed=0, sizes=((5, 7), (3, 4), (1, 1)), images=2, channels=3):
    """Per level: the student's map, a leaf that gets a gradient; the teacher's; a mask."""
    generator = torch.Generator().manual_seed(seed)
    student = [torch.randn(images, channels, *s, generator=generator) for s in sizes]
    teacher = [torch.randn(images, channels, *s, generator=generator) for s in sizes]
    masks = [torch.rand(images, *s, generator=generator) for s in sizes]
    return [s.requires_grad_() for s in student], teacher, masks


def expected(*arguments):
    return reference.feature_term(*([t.tolist() for t in maps] for maps in arguments))


size = st.tuples(st.integers(1, 6), st.integers(1, 6)) | st.just((1, 1))


@given(
    seed=st.integers(0, 2**31),
    sizes=st.lists(size, min_size=1, max_size=4),
    images=st.integers(1, 3),
    channels=st.integers(1, 4),
    density=st.floats(0, 1),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 1e4]),
    identical=st.integers(0, 7),
    outside=st.tuples(broken, broken) | st.none(),
    precision=precisions,
)
def test_is_the_formula(
    seed, sizes, images, channels, density, scale, identical, outside, precision
):
    """Of any features, which outside the mask may be NaN or infinite."""
    student, teacher, masks = levels(seed, sizes, images, channels)
    masks = [mask * (mask < density) for mask in masks]
    if identical == 0:
        teacher = [S.detach().clone() for S in student]
    student = [(scale * S).detach().to(precision) for S in student]
    teacher = [(scale * T).to(precision) for T in teacher]
    if outside:
        for S, T, M in zip(student, teacher, masks, strict=True):
            S.masked_fill_((M == 0)[:, None], outside[0])
            T.masked_fill_((M == 0)[:, None], outside[1])
    for S in student:
        S.requires_grad_()
    loss = feature_term(student, teacher, masks)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected(student, teacher, masks), rel=1e-5, abs=1e-9)
    loss.backward()
    for S, M in zip(student, masks, strict=True):
        assert S.grad.isfinite().all()
        assert not S.grad.permute(1, 0, 2, 3)[:, M == 0].any()


def test_gradient_is_that_of_the_formula():
    student, teacher, masks = levels()
    feature_term(student, teacher, masks).backward()
    for S, T, M in zip(student, teacher, masks, strict=True):
        scale = len(student) * S.shape[1] * max(1.0, M.sum().item())
        torch.testing.assert_close(S.grad, M[:, None] * (S - T).detach() / scale)


def test_a_small_mask_is_not_blown_up():
    """N_l = max(1, sum M): a box that just touches one cell does not weigh as much as a whole."""
    student, teacher = [torch.ones(1, 2, 3, 3)], [torch.zeros(1, 2, 3, 3)]
    mask = torch.zeros(1, 3, 3)
    mask[0, 1, 1] = 0.25
    assert feature_term(student, teacher, [mask]) == 0.25 / 2
    mask[0] = 0.5  # whose sum, 4.5, is what it is divided by
    assert feature_term(student, teacher, [mask]) == pytest.approx(1 / 2)


def test_the_mean_over_levels_counts_an_empty_level():
    student, teacher, masks = levels()
    alone = feature_term(student[:1], teacher[:1], masks[:1])
    masks[1].zero_()
    masks[2].zero_()
    torch.testing.assert_close(feature_term(student, teacher, masks), alone / 3)


def test_an_empty_mask_is_zero_with_a_graph():
    student, teacher, masks = levels()
    loss = feature_term(student, teacher, [torch.zeros_like(mask) for mask in masks])
    assert loss == 0
    loss.backward()
    assert all(torch.equal(S.grad, torch.zeros_like(S)) for S in student)


def test_equal_features_are_zero():
    student, _, masks = levels()
    loss = feature_term(student, [S.detach().clone() for S in student], masks)
    assert loss == 0
    loss.backward()
    assert not any(S.grad.any() for S in student)


def test_nothing_outside_the_mask_counts():
    student, teacher, masks = levels()
    for mask in masks:
        mask[..., 0] = 0
    before = feature_term(student, teacher, masks)
    for T in teacher:
        T[..., 0] = 1e6
    loss = feature_term(student, teacher, masks)
    assert loss == before
    loss.backward()
    assert not any(S.grad[..., 0].any() for S in student)


@pytest.mark.parametrize("unusable", [torch.nan, torch.inf, -torch.inf, 1e30])
def test_no_number_outside_the_mask_gets_through(unusable):
    student, teacher, masks = levels()
    for mask in masks:
        mask[..., 0] = 0
    before = feature_term(student, teacher, masks)
    with torch.no_grad():
        student[0][..., 0] = unusable
    teacher[1][..., 0] = unusable
    loss = feature_term(student, teacher, masks)
    assert loss == before
    loss.backward()
    assert not any(S.grad[..., 0].any() for S in student)
    assert all(S.grad.isfinite().all() for S in student)


def test_nan_inside_the_mask_is_not_hidden():
    student, teacher, masks = levels()
    teacher[0][0, 0, 0, 0] = torch.nan
    assert feature_term(student, teacher, masks).isnan()


def test_the_teacher_gets_no_gradient():
    student, teacher, masks = levels()
    for T in teacher:
        T.requires_grad_()
    feature_term(student, teacher, masks).backward()
    assert all(T.grad is None for T in teacher)
    assert all(S.grad.any() for S in student)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    student, teacher, masks = levels()
    # Their squares, and the sum of them, are beyond float16.
    student = [(400 * S).to(dtype).detach().requires_grad_() for S in student]
    teacher = [(400 * T).to(dtype) for T in teacher]
    loss = feature_term(student, teacher, masks)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected(student, teacher, masks), rel=1e-5)
    loss.backward()
    assert all(S.grad.isfinite().all() and S.grad.any() for S in student)


def test_levels_must_pair_up():
    student, teacher, masks = levels()
    with pytest.raises(ValueError, match=r"shorter|longer"):
        feature_term(student, teacher[:2], masks)


@pytest.mark.parametrize("shape", [(2, 1, 5, 7), (1, 3, 5, 7), (2, 3, 1, 7), (2, 4, 5, 7)])
def test_maps_of_different_shapes_are_an_error(shape):
    """Most of them would broadcast."""
    student, teacher, masks = levels()
    teacher[0] = torch.zeros(shape)
    with pytest.raises(ValueError, match="do not compare") as error:
        feature_term(student, teacher, masks)
    assert str(tuple(shape)) in str(error.value).replace("[", "(").replace("]", ")")
