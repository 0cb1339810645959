"""What the terms are divided by, where it takes all processes of a distributed training to know.

DistributedDataParallel averages the gradients of W processes, each of which saw its own images.
That average is the gradient of one process with all the images only where each divides by the same
number. Which do:

    feature term         global: N_l is counted over the images of all processes, here. The sum of
                         the mask differs from image to image by orders of magnitude; divided by
                         its own, a process whose images have few objects would weigh as much as
                         one whose images are full of them.
    logit and box term   per process: N is the number of proposals sampled there, as in Detectron2's
                         own loss_cls and loss_box_reg, beside which lambda weighs them. It is the
                         same everywhere as long as each image gives ROI_HEADS.BATCH_SIZE_PER_IMAGE
                         proposals; else an image in a process with fewer weighs more, in the
                         detection losses and in these terms alike.
    gates                per region or box: no process needs to know of another's.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from detectron2.utils import comm
from torch import Tensor


def mask_normalizers(masks: Sequence[Tensor]) -> Tensor:
    """``N_l = max(1, sum M) / W``, the sum over the images of all W processes: the average over
    the processes of what is divided by it is then the feature term of all their images.

    With several processes each of them must call this, at the same point of the step. Where
    gradients are off nothing is averaged, and processes may have unlike numbers of batches, as in
    a validation loss: each then counts its own images, and W is 1.

    Args:
        masks: per level ``M``, (N, H, W) of this process's images.

    Returns:
        (L,), float32, one for each level.
    """
    world_size = comm.get_world_size() if torch.is_grad_enabled() else 1
    with torch.no_grad():
        sums = torch.stack([mask.sum() for mask in masks])
        if world_size > 1:
            dist.all_reduce(sums)  # all levels at once
        return sums.clamp(min=1) / world_size
