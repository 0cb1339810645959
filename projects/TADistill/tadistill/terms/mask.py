"""The mask M of the feature term: how much a feature cell matters."""

from collections.abc import Sequence

import torch
from torch import Tensor

# How many boxes an image are laid over the grid at once: bounds the memory of a crowded image.
_BOXES_AT_ONCE = 16


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
        sigma: the width of the Gaussian, in half boxes.

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
