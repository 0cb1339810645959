"""Ground truth in the two forms that distillation needs: padded boxes, and who is matched to whom.

Shape shorthand: N: images in the batch; Gi: boxes of image i; G = sum Gi.
"""

from collections.abc import Mapping, Sequence

import torch
from detectron2.structures import Instances
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .errors import ConfigError


def ground_truth(batched_inputs: Sequence[Mapping], device: torch.device) -> list[Instances]:
    """The batch's ``instances``, on a device.

    Raises:
        ConfigError: if an image comes without.
    """
    if not all("instances" in x for x in batched_inputs):
        raise ConfigError(
            "an image of a training batch has no 'instances', its ground truth: give the data "
            "loader a mapper of training (DatasetMapper(cfg, is_train=True)), or put the model in "
            "eval mode to detect"
        )
    return [x["instances"].to(device) for x in batched_inputs]


def with_gt_index(gt_instances: Sequence[Instances]) -> list[Instances]:
    """The same ground truth with a field ``gt_index``: each box's number in the batch, 0 to G-1.

    Detectron2's ``label_and_sample_proposals`` copies every field named ``gt_*`` to the sampled
    proposals, which then know which box they are matched to. The input is left as it is.

    Raises:
        ConfigError: if a mapper has given the ground truth a field of that name.
    """
    if any(gt.has("gt_index") for gt in gt_instances):
        raise ConfigError(
            "the ground truth has a field gt_index already, which distillation numbers the "
            "batch's boxes by: let the mapper of the training data call its own otherwise"
        )
    indexed, start = [], 0
    for gt in gt_instances:
        end = start + len(gt)
        gt_index = torch.arange(start, end, device=gt.gt_classes.device)
        indexed.append(Instances(gt.image_size, **gt.get_fields(), gt_index=gt_index))
        start = end
    return indexed


def padded_gt_boxes(gt_instances: Sequence[Instances], keep: Tensor | None = None) -> Tensor:
    """All ground-truth boxes as one tensor, as :func:`tadistill.terms.gaussian_mask` takes them.

    Args:
        gt_instances: one an image, with ``gt_boxes``.
        keep: (G,) bool; the boxes to leave out are made zero, whatever they were. None keeps all.

    Returns:
        (N, max Gi, 4), XYXY, absolute pixels; zeros where an image has fewer boxes.
    """
    boxes = [gt.gt_boxes.tensor for gt in gt_instances]
    if keep is not None:
        kept = keep.split([len(b) for b in boxes])
        # Not a product, in which NaN and infinity would stay.
        boxes = [b.masked_fill(~k[:, None], 0) for b, k in zip(boxes, kept, strict=True)]
    return pad_sequence(boxes, batch_first=True)
