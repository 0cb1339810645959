"""Proposal sharing: the regions that both models answer for (paper, "region interflow")."""

import torch
from detectron2.structures import Instances, pairwise_iou


@torch.no_grad()
def share_proposals(
    student: list[Instances],
    teacher: list[Instances] | None,
    source: str = "union",
    nms_thresh: float = 0.9,
) -> list[Instances]:
    """The proposals, per image, to be labelled and sampled once for both models.

    In the union all of the student's proposals come first, in their order, then those of the
    teacher's that the student does not have: a teacher's proposal whose IoU with any student's is
    above ``nms_thresh`` is left out. Objectness scores of two RPNs are not comparable, so unlike
    in NMS no score decides which one of a pair stays, and the result depends on the boxes alone.

    Boxes of no or negative size overlap nothing, so they stay. NaN and infinite boxes are for the
    RPN to keep back, as Detectron2's does; here they touch no other box, and a teacher's one may
    stay or go.

    Args:
        student: the student's RPN proposals, one ``Instances`` an image, with ``proposal_boxes``
            (XYXY, absolute pixels) and ``objectness_logits``.
        teacher: the teacher's, for the same images. Not read (may be None) if ``source`` is
            "student".
        source: "union", "student" or "teacher".
        nms_thresh: IoU above which two proposals are near-duplicates. 1 keeps them all.

    Returns:
        As ``student``.
    """
    if source == "student":
        return student
    if source == "teacher":
        return teacher
    return [_union(s, t, nms_thresh) for s, t in zip(student, teacher, strict=True)]


def _union(student: Instances, teacher: Instances, nms_thresh: float) -> Instances:
    if len(student) == 0 or len(teacher) == 0:
        return Instances.cat([student, teacher])
    iou = pairwise_iou(student.proposal_boxes, teacher.proposal_boxes)  # (S, T)
    is_new = iou.max(dim=0).values <= nms_thresh
    return Instances.cat([student, teacher[is_new]])
