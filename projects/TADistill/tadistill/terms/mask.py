"""The mask M of the feature term: how much a feature cell matters."""

from collections.abc import Sequence

import torch
from torch import Tensor

# How many boxes an image are laid over the grid at once: bounds the memory of a crowded image.
_BOXES_AT_ONCE = 16


@torch.no_grad()
def gaussian_mask(boxes: Tensor, size: Sequence[int], stride: int, sigma: float) -> Tensor:
    """A Gaussian over each ground-truth box, cut at the box; the maximum where boxes overlap.

    With ``(x, y)`` the centre of a feature cell, ``((j + 0.5) stride, (i + 0.5) stride)`` in the
    image, and a box of centre ``(x0, y0)``, width ``w`` and height ``h``::

        M(x, y) = exp( -(x - x0)^2 / (sigma^2 (w/2)^2) - (y - y0)^2 / (sigma^2 (h/2)^2) )

    inside the box (its edge included), 0 outside. A box has no inside, and leaves no trace, if it
    has no width or no height, or negative ones, or if any of its coordinates is NaN or infinite.
    Source: projects/TADistill/README.md, "Feature
    term"; the paper's abstract fixes only that important regions are weighted.

    Args:
        boxes: (N, G, 4), XYXY, absolute pixels of the network's input. Pad images that have fewer
            boxes with zeros.
        size: (H, W) of the feature map.
        stride: pixels a cell.
        sigma: the width of the Gaussian, in half boxes.

    Returns:
        (N, H, W), float32, in [0, 1].
    """
    height, width = size
    boxes = boxes.float()
    x = _exponent(boxes[..., 0::2], width, stride, sigma)  # (N, G, W)
    y = _exponent(boxes[..., 1::2], height, stride, sigma)  # (N, G, H)

    exponent = boxes.new_full((len(boxes), height, width), torch.inf)
    for x_part, y_part in zip(
        x.split(_BOXES_AT_ONCE, dim=1), y.split(_BOXES_AT_ONCE, dim=1), strict=True
    ):
        over_boxes = y_part[..., :, None] + x_part[..., None, :]  # (N, G', H, W)
        if over_boxes.shape[1]:
            exponent = torch.minimum(exponent, over_boxes.amin(dim=1))
    return torch.exp(-exponent)


def _exponent(edges: Tensor, cells: int, stride: int, sigma: float) -> Tensor:
    """One axis of the exponent: ``(N, G, 2)`` edges to ``(N, G, cells)``, inf outside the box."""
    centers = (torch.arange(cells, device=edges.device) + 0.5) * stride
    half = (edges[..., 1:] - edges[..., :1]) / 2
    offset = centers - (edges[..., 1:] + edges[..., :1]) / 2
    inside = (half > 0) & half.isfinite() & (offset.abs() <= half)
    return torch.where(inside, (offset / (sigma * half)) ** 2, torch.inf)
