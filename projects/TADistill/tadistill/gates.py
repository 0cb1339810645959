"""The gates: where the teacher's answer is better than the student's.

Shape shorthand:

    R: sampled proposals of all images in the batch
    K: foreground classes; the label K is background
    G: ground-truth boxes of all images in the batch

Each gate is a boolean tensor, True where the teacher wins, False at a tie; none of them carries
a gradient. What is not finite is no better: NaN or infinity in a region's boxes, or anywhere in its
logits, closes the region's gate, and with it the gate of the box that it is matched to.
"""

import torch
from detectron2.structures import Boxes
from detectron2.structures.boxes import matched_pairwise_iou
from torch import Tensor
from torch.nn import functional as F


def label_probability(logits: Tensor, gt_classes: Tensor) -> Tensor:
    """``p(y_i)``, the probability that a head gives to each region's label.

    Args:
        logits: (R, K+1).
        gt_classes: (R,), labels in [0, K].

    Returns:
        (R,), float32; NaN for a region with a logit that is NaN or infinite.
    """
    logits = logits.float()
    probability = F.softmax(logits, dim=-1).gather(1, gt_classes[:, None]).squeeze(1)
    return torch.where(logits.isfinite().all(dim=1), probability, torch.nan)


@torch.no_grad()
def logit_gate(student_logits: Tensor, teacher_logits: Tensor, gt_classes: Tensor) -> Tensor:
    """``g_i = p_T(y_i) > p_S(y_i)``.

    Args:
        student_logits, teacher_logits: (R, K+1).
        gt_classes: (R,), labels in [0, K].

    Returns:
        (R,) bool.
    """
    student_logits, teacher_logits = student_logits.float(), teacher_logits.float()
    # Compared as log-probabilities: two confident heads both round to a probability of 1.
    student = F.log_softmax(student_logits, dim=-1)
    teacher = F.log_softmax(teacher_logits, dim=-1)
    better = (teacher > student).gather(1, gt_classes[:, None]).squeeze(1)
    # Minus infinity for another class leaves the label its probability, but no finite KL.
    return better & (student_logits + teacher_logits).isfinite().all(dim=1)


@torch.no_grad()
def box_gate(teacher_boxes: Tensor, reference_boxes: Tensor, gt_boxes: Tensor) -> Tensor:
    """``g_i = IoU(box_T, b_i) > IoU(reference, b_i)``.

    Args:
        teacher_boxes: (R, 4), the teacher's decoded boxes, XYXY, absolute pixels.
        reference_boxes: (R, 4), the student's decoded boxes, or the proposals themselves.
        gt_boxes: (R, 4), the matched ground-truth boxes ``b_i``.

    Returns:
        (R,) bool.
    """
    teacher_iou = matched_pairwise_iou(Boxes(teacher_boxes), Boxes(gt_boxes))
    reference_iou = matched_pairwise_iou(Boxes(reference_boxes), Boxes(gt_boxes))
    finite = torch.cat([teacher_boxes, reference_boxes, gt_boxes], dim=1).isfinite().all(dim=1)
    return (teacher_iou > reference_iou) & finite


@torch.no_grad()
def instance_gate(
    student_logits: Tensor,
    teacher_logits: Tensor,
    gt_classes: Tensor,
    foreground: Tensor,
    gt_index: Tensor,
    num_gt: int,
) -> Tensor:
    """A box is the teacher's if, summed over the foreground proposals matched to it, the teacher
    gives the label more probability than the student: ``sum_i p_T(y_i) > sum_i p_S(y_i)``.

    Args:
        student_logits, teacher_logits: (R, K+1).
        gt_classes: (R,), labels in [0, K].
        foreground: (R,) bool.
        gt_index: (R,), which of the batch's G boxes each proposal is matched to. Any value in
            [0, G) for background.
        num_gt: G.

    Returns:
        (G,) bool. A box that no sampled proposal is matched to is False: nothing says that the
        teacher is the better one there.
    """
    lead = label_probability(teacher_logits, gt_classes) - label_probability(
        student_logits, gt_classes
    )
    # On a GPU index_add_ sums in no fixed order, which can decide a near-tie either way.
    total = lead.new_zeros(num_gt)
    if num_gt:
        total.index_add_(0, gt_index, torch.where(foreground, lead, torch.zeros_like(lead)))
    return total > 0


def share(gate: Tensor, regions: Tensor | None = None) -> Tensor:
    """The share of ``regions`` (bool; all if None) in which a gate is open; 0 if there are none."""
    if regions is None:
        regions = torch.ones_like(gate)
    return (gate & regions).sum() / regions.sum().clamp(min=1)
