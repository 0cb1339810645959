"""Boxes in and out of the deltas of a box head.

Shape shorthand: R: sampled proposals; K: foreground classes, the label K is background.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

# A decoded box may be thinner than any real object; its logarithm must stay finite.
_MIN_SIZE = 1e-2


def class_deltas(deltas: Tensor, gt_classes: Tensor, num_classes: int) -> Tensor:
    """The deltas for each region's own class ``y_i``.

    Args:
        deltas: (R, 4 K) of a class-specific head, or (R, 4) of a class-agnostic one.
        gt_classes: (R,), labels in [0, K]. For background any class's deltas are given: there is
            no right one, and a gate hides it.
        num_classes: K.

    Returns:
        (R, 4), float32.
    """
    deltas = deltas.float()
    if deltas.shape[1] == 4:
        return deltas
    index = gt_classes.clamp(0, num_classes - 1)[:, None, None].expand(-1, 1, 4)
    return deltas.view(-1, num_classes, 4).gather(1, index).squeeze(1)


def encode_boxes(boxes: Tensor, proposals: Tensor, weights: Sequence[float]) -> Tensor:
    """The deltas that lead from ``proposals`` to ``boxes``: the inverse of
    ``Box2BoxTransform.apply_deltas``.

    Detectron2's own ``get_deltas`` stops with an assertion at a degenerate proposal, for which it
    has to wait for the GPU. This one measures no side below a hundredth of a pixel instead.

    Args:
        boxes, proposals: (R, 4), XYXY, absolute pixels.
        weights: ``BBOX_REG_WEIGHTS``: what (dx, dy, dw, dh) are multiplied by.

    Returns:
        (R, 4) deltas, float32, finite for finite boxes. A row with NaN or infinity in it is not
        finite: it is the gate's to hide, not to be made up here.
    """
    center, size = _center_and_size(boxes.float())
    proposal_center, proposal_size = _center_and_size(proposals.float())
    dx, dy = ((center - proposal_center) / proposal_size).unbind(dim=1)
    dw, dh = torch.log(size / proposal_size).unbind(dim=1)
    # Weights are multiplied in as Python numbers: as a tensor they would have to reach the GPU.
    wx, wy, ww, wh = weights
    return torch.stack([wx * dx, wy * dy, ww * dw, wh * dh], dim=1)


def _center_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    corner, opposite = boxes[:, :2], boxes[:, 2:]
    return (corner + opposite) / 2, (opposite - corner).clamp(min=_MIN_SIZE)
