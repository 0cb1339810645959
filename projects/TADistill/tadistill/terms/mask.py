"""The mask M of the feature term: how much a feature cell matters."""

from collections.abc import Sequence
from math import inf

import torch
from torch import Tensor

# How many boxes an image are laid over the grid at once: bounds the memory of a crowded image.
_BOXES_AT_ONCE = 16
_BOXES_AT_ONCE_ON_ANCHORS = 4  # of which a cell has several


def gaussian_mask(boxes: Tensor, size: Sequence[int], stride: int, sigma: float) -> Tensor:
    """A Gaussian over each ground-truth box, cut at the box; the maximum where boxes overlap.

    With ``(x, y)`` the centre of a feature cell, ``((j + 0.5) stride, (i + 0.5) stride)`` in the
    image, and a box of centre ``(x0, y0)``, width ``w`` and height ``h``::

        M(x, y) = exp( -(x - x0)^2 / (sigma^2 (w/2)^2) - (y - y0)^2 / (sigma^2 (h/2)^2) )

    inside the box (its edge included), 0 outside. A box has no inside, and leaves no trace, if it
    has no width or no height, or negative ones, or if any of its coordinates is NaN or infinite.
    Source: projects/TADistill/README.md, "Feature term"; the paper's abstract fixes only that
    important regions are weighted.

    Args:
        boxes: (N, G, 4), XYXY, absolute pixels of the network's input. Pad images that have fewer
            boxes with zeros.
        size: (H, W) of the feature map.
        stride: pixels a cell.
        sigma: the width of the Gaussian, in half boxes; may be infinite.

    Returns:
        (N, H, W), float32, in [0, 1].
    """
    return gaussian_masks(boxes, [size], [stride], sigma)[0]


@torch.no_grad()
def gaussian_masks(
    boxes: Tensor, sizes: Sequence[Sequence[int]], strides: Sequence[int], sigma: float
) -> list[Tensor]:
    """:func:`gaussian_mask` of several levels, of each its ``size`` and ``stride``. Faster than one
    by one: a row of cells is a small tensor, and of all levels together hardly a larger one.
    """
    boxes = boxes.float()
    x = _exponent(boxes[..., 0::2], [width for _, width in sizes], strides, sigma)  # (N, G, W)
    y = _exponent(boxes[..., 1::2], [height for height, _ in sizes], strides, sigma)  # (N, G, H)
    return [torch.exp(-_smallest(*axes)) for axes in zip(x, y, strict=True)]


def box_mask(boxes: Tensor, size: Sequence[int], stride: int) -> Tensor:
    """``M = 1`` inside any ground-truth box, 0 outside: the limit of a Gaussian without end.

    Args:
        boxes, size, stride: as in :func:`gaussian_mask`; what is inside is the same.

    Returns:
        (N, H, W), float32, of zeros and ones.
    """
    return gaussian_mask(boxes, size, stride, inf)


@torch.no_grad()
def anchor_mask(boxes: Tensor, anchors: Tensor, psi: float = 0.5) -> Tensor:
    """``M = 1`` near objects, by the anchors that lie there: a cell counts if for any
    ground-truth box b one of its anchors a has::

        IoU(a, b) > psi max_a' IoU(a', b)        a': any anchor of the level

    A box leaves no trace if it has no inside (see :func:`gaussian_mask`) or overlaps no anchor.
    Source: T. Wang et al., Distilling Object Detectors with Fine-grained Feature Imitation, CVPR
    2019, section 3.2. It has one feature map; with several, the maximum is read here as that of
    the level's own anchors, so that each level imitates something of each box.

    Args:
        boxes: (N, G, 4), XYXY, absolute pixels of the network's input; zeros for padding.
        anchors: (H, W, A, 4), those of each cell, XYXY, absolute pixels.
        psi: the share of the largest IoU that is to be exceeded.

    Returns:
        (N, H, W), float32, of zeros and ones.
    """
    height, width = anchors.shape[:2]
    boxes, anchors = boxes.float(), anchors.float()
    near = boxes.new_zeros((len(boxes), height, width), dtype=torch.bool)
    for some in boxes.split(_BOXES_AT_ONCE_ON_ANCHORS, dim=1):
        if some.shape[1]:
            iou = _iou(some[:, :, None, None, None], anchors)  # (N, G', H, W, A)
            threshold = psi * iou.amax(dim=(2, 3, 4), keepdim=True)
            near |= (iou > threshold).any(dim=-1).any(dim=1)
    return near.float()


def _iou(boxes: Tensor, anchors: Tensor) -> Tensor:
    """IoU along the last dimension, (..., 4), of shapes that broadcast. Of a box without an inside
    it is 0 or NaN, neither of which exceeds anything.
    """
    corner = torch.maximum(boxes[..., :2], anchors[..., :2])
    overlap = (torch.minimum(boxes[..., 2:], anchors[..., 2:]) - corner).clamp(min=0).prod(dim=-1)
    area = (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1)
    return overlap / (area + (anchors[..., 2:] - anchors[..., :2]).prod(dim=-1) - overlap)


def _exponent(
    edges: Tensor, cells: Sequence[int], strides: Sequence[int], sigma: float
) -> Sequence[Tensor]:
    """One axis of the exponent: ``(N, G, 2)`` edges to each level's ``(N, G, cells)``, inf outside
    the box.
    """
    centers = torch.cat(
        [
            torch.arange(stride / 2, n * stride, stride, device=edges.device)
            for n, stride in zip(cells, strides, strict=True)
        ]
    )
    half = (edges[..., 1:] - edges[..., :1]) / 2
    offset = centers - (edges[..., 1:] + edges[..., :1]) / 2
    inside = (half > 0) & half.isfinite() & (offset.abs() <= half)
    exponent = torch.where(inside, (offset / (sigma * half)) ** 2, torch.inf)
    return exponent.split(list(cells), dim=-1)


def _smallest(x: Tensor, y: Tensor) -> Tensor:
    """(N, H, W), the smallest ``y + x`` of the boxes: of (N, G, W) and (N, G, H)."""
    smallest = x.new_full((len(x), y.shape[-1], x.shape[-1]), torch.inf)
    for start in range(0, x.shape[1], _BOXES_AT_ONCE):
        some = slice(start, start + _BOXES_AT_ONCE)
        over_boxes = y[:, some, :, None] + x[:, some, None, :]  # (N, G', H, W)
        smallest = torch.minimum(smallest, over_boxes.amin(dim=1))
    return smallest
