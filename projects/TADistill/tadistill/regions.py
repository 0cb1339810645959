"""The sampled proposals of a batch, as the plain tensors that gates and terms are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from detectron2.structures import Instances
from torch import Tensor


@dataclass(frozen=True)
class Regions:
    """R sampled proposals of all images, in the order in which the box heads answered for them.

    Attributes:
        proposals: (R, 4), XYXY, absolute pixels.
        gt_boxes: (R, 4), the matched box ``b_i``; for background anything (the proposal itself
            in an image without ground truth).
        gt_classes: (R,), ``y_i`` in [0, K], K for background; for an unlabelled one anything.
        gt_index: (R,), which of the batch's ground-truth boxes ``b_i`` is; for background
            anything. None if ROI heads that label proposals in their own way did not copy it.
        foreground: (R,) bool, ``y_i < K``.
        labelled: (R,) bool, False where ROI heads that label proposals in their own way gave a
            negative label, "ignore": no term and no gate looks at such a region.
    """

    proposals: Tensor
    gt_boxes: Tensor
    gt_classes: Tensor
    gt_index: Tensor | None
    foreground: Tensor
    labelled: Tensor

    @classmethod
    def of(cls, sampled: Sequence[Instances], num_classes: int) -> "Regions":
        """
        Args:
            sampled: what ``ROIHeads.label_and_sample_proposals`` returned for ground truth that
                :func:`tadistill.ground_truth.with_gt_index` had numbered.
            num_classes: K.
        """
        gt_classes = torch.cat([s.gt_classes for s in sampled])
        labelled = gt_classes >= 0
        return cls(
            proposals=torch.cat([s.proposal_boxes.tensor for s in sampled]),
            gt_boxes=torch.cat([_field(s, "gt_boxes", s.proposal_boxes).tensor for s in sampled]),
            gt_classes=gt_classes.clamp(min=0),  # something that can be looked up
            gt_index=_gt_index(sampled),
            foreground=labelled & (gt_classes < num_classes),
            labelled=labelled,
        )


def _gt_index(sampled: Sequence[Instances]) -> Tensor | None:
    if any(s.has("gt_boxes") and not s.has("gt_index") for s in sampled):
        return None
    return torch.cat([_field(s, "gt_index", torch.zeros_like(s.gt_classes)) for s in sampled])


def _field(instances: Instances, name: str, default):
    """Detectron2 sets no ``gt_*`` fields but ``gt_classes`` in an image without ground truth."""
    return instances.get(name) if instances.has(name) else default
