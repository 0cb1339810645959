"""L_feat: the student's feature maps follow the teacher's where objects are."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def feature_term(
    student_features: Sequence[Tensor],
    teacher_features: Sequence[Tensor],
    masks: Sequence[Tensor],
    normalizers: Sequence[Tensor] | None = None,
) -> Tensor:
    """``L_feat = mean_l 1 / (2 N_l C) sum_n,c,i,j M (A^l(F_S^l) - F_T^l)^2``,  ``N_l = max(1, sum M)``

    Args:
        student_features: per level ``A^l(F_S^l)``, the adapted maps, (N, C, H, W).
        teacher_features: per level ``F_T^l``, of the same shapes.
        masks: per level ``M``, (N, H, W).
        normalizers: per level ``N_l``, where it is not that of these images alone: see
            :func:`tadistill.normalizers.mask_normalizers`.

    Returns:
        A scalar, float32. Where M is zero everywhere it is 0, with a graph. Where M is zero no
        number of either map, NaN and infinity included, reaches the sum or the gradient; where it
        is not, NaN gives NaN.

    Raises:
        ValueError: if two maps differ in shape.
    """  # noqa: E501
    if normalizers is None:
        normalizers = [mask.sum().clamp(min=1) for mask in masks]
    losses = []
    for student, teacher, mask, normalizer in zip(
        student_features, teacher_features, masks, normalizers, strict=True
    ):
        if student.shape != teacher.shape:  # which would broadcast
            raise ValueError(f"maps of shapes {student.shape} and {teacher.shape} do not compare")
        channels = teacher.shape[1]
        error = _MaskedSquaredError.apply(student.float(), teacher.detach().float(), mask)
        losses.append(error / (2 * channels * normalizer))
    return torch.stack(losses).mean()


class _MaskedSquaredError(torch.autograd.Function):
    """``sum_n,c,i,j M (S - T)^2``, as ``|D|^2`` of ``D = sqrt(M) (S - T)``; its gradient is
    ``2 sqrt(M) D``.

    The maps are the largest tensors of a step. Here each number is gone through five times, there
    and back, and no map but D is made or kept; autograd's own way, which is
    ``torch.where(M > 0, M * (S - T) ** 2, 0).sum()``, takes two to three times as long.
    """

    @staticmethod
    def forward(ctx, student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
        difference = student - teacher  # (N, C, H, W)
        # Zero where M is, by its bits: NaN times zero is NaN, and torch.where is slow on a CPU.
        all_bits = -(mask > 0).int()
        difference.view(torch.int32).bitwise_and_(all_bits[:, None])
        root = mask.sqrt()[:, None]
        difference.mul_(root)
        ctx.save_for_backward(difference, root)
        return torch.linalg.vector_norm(difference, dim=(2, 3)).square().sum()

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        difference, root = ctx.saved_tensors
        return difference * (2 * gradient * root), None, None
