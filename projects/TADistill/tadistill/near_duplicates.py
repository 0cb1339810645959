"""Which boxes have a near-duplicate among others, asked of all images at once.

Two boxes whose IoU is above t are alike in size and place, so that nearly all pairs can be passed
over unseen. Their intersection is no higher than either of them, so it is more than t times as
wide as either. With widths w, w' and left edges x, x':

    t w < w' < w / t    and    |x - x'| < (1 / t - 1) w

On a CPU the pairs of which this holds are found by sorting, in a time that grows with the number
of boxes and of such pairs. A GPU looks at all pairs: it would have to be waited for, to know how
many such pairs there are.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_MARGIN = 1.001  # of the bounds, for what float32 rounds
_LOWEST_THRESHOLD = 0.5  # below it the bounds hold for too many pairs
_FEW_PAIRS = 1 << 16  # so many are looked at sooner than their boxes are sorted
_PICKED_OUT = 8  # a pair that is picked out costs what so many cost that lie side by side


def have_near_duplicates(
    boxes: Sequence[Tensor], others: Sequence[Tensor], threshold: float
) -> list[Tensor]:
    """Whether the IoU of each box with any of the others in its image is above ``threshold``.

    Boxes of no or negative size overlap nothing. NaN and infinite ones touch no other box's answer.

    Args:
        boxes: (R_i, 4) for each image, XYXY.
        others: (S_i, 4) for the same images.
        threshold: nothing is above 1.

    Returns:
        (R_i,) bool for each image.
    """
    pairs = sum(len(b) * len(o) for b, o in zip(boxes, others, strict=True))
    if pairs > _FEW_PAIRS and _can_sort(boxes[0].device) and _LOWEST_THRESHOLD <= threshold < 1:
        found = _candidates(boxes, others, threshold, at_most=pairs // _PICKED_OUT)
        if found is not None:
            of_boxes, of_others = found
            iou = _iou(torch.cat(list(boxes))[of_boxes], torch.cat(list(others))[of_others])
            sizes = [len(b) for b in boxes]
            above = torch.zeros(sum(sizes), dtype=torch.int32)
            above.index_add_(0, of_boxes, (iou > threshold).int())
            return list((above > 0).split(sizes))
    return [
        (_iou(b, o[:, None]) > threshold).any(dim=0) for b, o in zip(boxes, others, strict=True)
    ]


def _can_sort(device: torch.device) -> bool:
    return device.type == "cpu"


def _candidates(
    boxes: Sequence[Tensor], others: Sequence[Tensor], threshold: float, at_most: int
) -> tuple[Tensor, Tensor] | None:
    """The pairs that the bounds allow, as (P,) indices into the boxes of all images and (P,) into
    the others of all images; None if there are more than ``at_most``.

    An image's boxes of about the same width are a group, as narrow as the bound on widths: what a
    box could be alike to is in its own group or in one of the two beside it. Sorted by group and
    then by left edge, these are three runs, each without a gap.
    """
    sizes = [*map(len, boxes), *map(len, others)]
    x1, y1, x2, y2 = torch.cat([*boxes, *others]).double().T
    sound = (x2 > x1) & (y2 > y1) & torch.isfinite(x2 - x1) & torch.isfinite(y2 - y1)
    x1, width = torch.where(sound, x1, 0), torch.where(sound, x2 - x1, 1)

    level = (width.log() / (-_MARGIN * math.log(threshold))).floor()
    level -= level.min() - 1  # from 1 on: below the lowest and above the highest is nothing
    image = torch.arange(len(boxes)).repeat(2).repeat_interleave(torch.tensor(sizes))
    group = image * (level.max() + 2) + level

    reach = _MARGIN * (1 / threshold - 1) * width
    span = x1.max() - x1.min() + 2 * reach.max() + 1  # of a group's keys, with all reaches
    key = group * span + x1 - x1.min() + reach.max()
    reach += 1e-15 * key.max()  # for what float64 rounds

    num_boxes = sum(map(len, boxes))
    sorted_keys, order = key[num_boxes:].sort()
    looked_for = key[:num_boxes] + span * torch.tensor([[-1.0], [0.0], [1.0]], dtype=key.dtype)
    first = torch.searchsorted(sorted_keys, looked_for - reach[:num_boxes]).flatten()
    last = torch.searchsorted(sorted_keys, looked_for + reach[:num_boxes]).flatten()
    count = last - first
    total = int(count.sum())
    if total > at_most:
        return None
    box = torch.arange(num_boxes).repeat(3).repeat_interleave(count)
    place = torch.arange(total) + (first - count.cumsum(0) + count).repeat_interleave(count)
    return box, order[place]


def _iou(boxes: Tensor, others: Tensor) -> Tensor:
    """As Detectron2's ``pairwise_iou``, of what broadcasts; NaN where both are without area."""
    X1, Y1, X2, Y2 = boxes.unbind(-1)
    x1, y1, x2, y2 = others.unbind(-1)
    width = torch.minimum(x2, X2).sub_(torch.maximum(x1, X1)).clamp_(min=0)
    height = torch.minimum(y2, Y2).sub_(torch.maximum(y1, Y1)).clamp_(min=0)
    intersection = width.mul_(height)
    union = ((x2 - x1) * (y2 - y1) + (X2 - X1) * (Y2 - Y1)).sub_(intersection)
    return intersection.div_(union)
