"""Batches of noise with boxes: what a step costs hangs on their shapes alone."""

import torch
from detectron2.config import CfgNode
from detectron2.structures import Boxes, Instances

# Sides of the boxes, as shares of the image's.
_SMALLEST, _LARGEST = 1 / 16, 1 / 2


def image_size(cfg: CfgNode) -> tuple[int, int]:
    """(height, width) of the largest square that a training on ``cfg`` would see."""
    side = max(cfg.INPUT.MIN_SIZE_TRAIN)
    return side, side


def synthetic_batch(
    images: int, size: tuple[int, int], boxes: int, num_classes: int, seed: int = 0
) -> list[dict]:
    """A batch as Detectron2's loader gives it.

    Args:
        images: how many.
        size: (height, width), pixels.
        boxes: ground-truth boxes an image.
        num_classes: K; labels are in [0, K).
        seed: of everything in it.

    Returns:
        Dicts with ``image`` (uint8, (3, H, W)), ``instances``, ``height`` and ``width``.
    """
    generator = torch.Generator().manual_seed(seed)
    return [_image(size, boxes, num_classes, generator) for _ in range(images)]


def _image(size, boxes: int, num_classes: int, generator: torch.Generator) -> dict:
    height, width = size
    extent = torch.tensor([width, height], dtype=torch.float32)
    share = _SMALLEST * (_LARGEST / _SMALLEST) ** torch.rand(boxes, 2, generator=generator)
    corner = torch.rand(boxes, 2, generator=generator) * (1 - share) * extent
    instances = Instances(
        size,
        gt_boxes=Boxes(torch.cat([corner, corner + share * extent], dim=1)),
        gt_classes=torch.randint(num_classes, (boxes,), generator=generator),
    )
    image = torch.randint(256, (3, height, width), generator=generator, dtype=torch.uint8)
    return {"image": image, "instances": instances, "height": height, "width": width}


def to_device(batch: list[dict], device: torch.device) -> list[dict]:
    """The same batch, its tensors on ``device``."""
    return [
        {**x, "image": x["image"].to(device), "instances": x["instances"].to(device)} for x in batch
    ]
