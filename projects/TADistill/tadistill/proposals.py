"""Proposal sharing: the regions that both models answer for (paper, "region interflow")."""

import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from detectron2.modeling.roi_heads import ROIHeads
from detectron2.structures import Instances
from torch import Tensor
from torch.nn import functional as F

from .errors import ConfigError
from .near_duplicates import have_near_duplicates


class SharedProposals(NamedTuple):
    """The proposals to be labelled and sampled once for both models.

    How many near-duplicates there are only the GPU knows. They are marked, not taken out, so that
    a step need not wait until it says so.

    Attributes:
        proposals: one ``Instances`` an image.
        duplicates: one (R,) bool an image: True for the near-duplicates, which are not to be
            sampled. None if there are none.
    """

    proposals: list[Instances]
    duplicates: list[Tensor] | None = None

    def distinct(self) -> list[Instances]:
        """The proposals without near-duplicates. Waits for the GPU."""
        if self.duplicates is None:
            return self.proposals
        return [p[~d] for p, d in zip(self.proposals, self.duplicates, strict=True)]


@torch.no_grad()
def share_proposals(
    student: list[Instances],
    teacher: list[Instances] | None,
    source: str = "union",
    nms_thresh: float = 0.9,
) -> SharedProposals:
    """The proposals, per image, that both models answer for.

    In the union all of the student's proposals come first, in their order, then those of the
    teacher's that the student does not have: a teacher's proposal whose IoU with any student's is
    above ``nms_thresh`` is a near-duplicate. Objectness scores of two RPNs are not comparable, so
    unlike in NMS no score decides which one of a pair stays, and the result depends on the boxes
    alone.

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

    Raises:
        ConfigError: if the student's proposals have fields that the teacher's do not have.
    """
    if source == "student":
        return SharedProposals(student)
    if source == "teacher":
        return SharedProposals(teacher)
    _check_fields(student, teacher)
    proposals = [Instances.cat([s, t]) for s, t in zip(student, teacher, strict=True)]
    boxes_S, boxes_T = ([p.proposal_boxes.tensor for p in of] for of in (student, teacher))
    known = have_near_duplicates(boxes_T, boxes_S, nms_thresh)
    duplicates = [F.pad(k, (len(s), 0)) for k, s in zip(known, student, strict=True)]
    return SharedProposals(proposals, duplicates)


def _check_fields(student: Sequence[Instances], teacher: Sequence[Instances]) -> None:
    for s, t in zip(student, teacher, strict=True):
        surplus = s.get_fields().keys() - t.get_fields().keys()
        if surplus:
            raise ConfigError(
                f"the proposals of the student's RPN have fields that the teacher's do not have "
                f"({', '.join(sorted(surplus))}), so the two cannot be united: set "
                'MODEL.TADISTILL.PROPOSALS.SOURCE to "student"'
            )


def label_and_sample(
    roi_heads: ROIHeads, shared: SharedProposals, gt_instances: Sequence[Instances]
) -> list[Instances]:
    """``roi_heads.label_and_sample_proposals(shared.distinct(), gt_instances)``, the same proposals
    drawn by the same random numbers, without waiting for the GPU to take the duplicates out.

    ROI heads that label or sample in a way of their own do wait: what they make of a label -1,
    "ignore", is theirs to say, so they are not given any.
    """
    if shared.duplicates is None or not _samples_as_detectron2(roi_heads):
        return roi_heads.label_and_sample_proposals(shared.distinct(), gt_instances)
    passing_over = copy.copy(roi_heads)  # the same modules; only a method is another
    passing_over._sample_proposals = _sampler(roi_heads._sample_proposals, shared.duplicates)
    return passing_over.label_and_sample_proposals(shared.proposals, gt_instances)


def _samples_as_detectron2(roi_heads: ROIHeads) -> bool:
    methods = ("label_and_sample_proposals", "_sample_proposals")
    return all(
        getattr(getattr(roi_heads, name), "__func__", None) is getattr(ROIHeads, name)
        for name in methods
    )


def _sampler(sample_proposals: Callable, duplicates: Sequence[Tensor]) -> Callable:
    """``ROIHeads._sample_proposals`` of one image after the other, in which near-duplicates have
    the matcher's label -1, "ignore".
    """
    remaining = iter(duplicates)

    def sample(matched_idxs: Tensor, matched_labels: Tensor, gt_classes: Tensor):
        if len(gt_classes) == 0:
            # All is background then, whatever its label. With one class to look up, the same
            # comes of labels.
            gt_classes = gt_classes.new_zeros(1)
            matched_labels = torch.zeros_like(matched_labels)
        duplicate = next(remaining)
        # Behind the proposals stands the ground truth, if it is appended.
        duplicate = F.pad(duplicate, (0, len(matched_labels) - len(duplicate)))
        return sample_proposals(matched_idxs, matched_labels.masked_fill(duplicate, -1), gt_classes)

    return sample
