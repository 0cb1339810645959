"""L_feat: the student's feature maps follow the teacher's where objects are."""

from collections.abc import Sequence

import torch
from torch import Tensor


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
        difference = student.float() - teacher.float().detach()
        difference = torch.where(mask[:, None] > 0, difference, 0)  # 0 * inf would be NaN
        error = difference.square().sum(dim=1)  # (N, H, W)
        losses.append((mask * error).sum() / (2 * channels * normalizer))
    return torch.stack(losses).mean()
