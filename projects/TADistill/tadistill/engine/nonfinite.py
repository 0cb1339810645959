"""A loss that is not finite: which term, when, on which images, and the batch to look at."""

import os
from collections.abc import Mapping, Sequence

import torch
from detectron2.utils import comm
from torch import Tensor, nn

from ..checkpoint import TrainingCheckpointer
from ..files import written_whole


class LastLosses:
    """The losses that a model returned last, without their graph.

    Attributes:
        losses: by name; empty before the first forward pass and after ``clear``.
    """

    def __init__(self, model: nn.Module):
        self.losses: dict[str, Tensor] = {}
        model.register_forward_hook(self._note)

    def clear(self) -> None:
        self.losses = {}

    def _note(self, model: nn.Module, inputs, output) -> None:
        if model.training and isinstance(output, Mapping):
            self.losses = {name: loss.detach() for name, loss in output.items()}


def explain_nonfinite(
    error: FloatingPointError,
    iteration: int,
    losses: Mapping[str, Tensor],
    batch: Sequence[Mapping] | None,
    directory: str,
) -> FloatingPointError:
    """Detectron2's error with all that is needed to look into it. Saves the batch.

    Args:
        error: what was raised.
        iteration: in which it was raised.
        losses: of this step on this rank; empty if it did not get so far.
        batch: the mapped images of the step; None if it is not known.
        directory: where to save the batch, in a file that ``torch.load`` opens with
            ``weights_only``.
    """
    values = {name: loss.item() for name, loss in losses.items()}
    bad = [f"{name} = {loss.item()}" for name, loss in losses.items() if not loss.isfinite()]
    what = ", ".join(bad)
    if values and not bad:
        what = "every loss of this process is finite, another process's is not"
    lines = [f"iteration {iteration}: {what or error}"]
    if batch is not None:
        path = os.path.join(directory, f"nonfinite_{iteration}_rank{comm.get_rank()}.pth")
        with written_whole(path) as file:
            torch.save(
                {"iteration": iteration, "losses": values, "batch": [*map(_plain, batch)]}, file
            )
        lines.append("images: " + ", ".join(str(x.get("file_name", "?")) for x in batch))
        lines.append(f"the batch is saved in {path}")
    checkpoints = TrainingCheckpointer(None, directory)
    if checkpoints.has_checkpoint():
        lines.append(
            f"--resume goes on from {checkpoints.get_checkpoint_file()}. Should it end in the same "
            "way at once, its weights are spoilt already: write the name of an older checkpoint "
            f"into {os.path.join(directory, 'last_checkpoint')}"
        )
    lines.append(
        "Lower SOLVER.BASE_LR, switch on SOLVER.CLIP_GRADIENTS, or lower the weight of the term "
        "under MODEL.TADISTILL"
    )
    if any(value.startswith("loss_tad_") for value in bad):
        # float16 ends at 65504, and no scaling of the loss helps a forward pass that is beyond.
        lines.append(
            "If it is not finite from the first step and the teacher runs in float16 "
            "(SOLVER.AMP.ENABLED, or its DTYPE), set MODEL.TADISTILL.TEACHER.DTYPE to float32"
        )
    return FloatingPointError("\n".join(lines))


def _plain(image: Mapping) -> dict:
    """A mapped image as tensors, numbers and strings."""
    plain = {k: v for k, v in image.items() if isinstance(v, (Tensor, int, float, str))}
    if "instances" in image:
        plain["gt_boxes"] = image["instances"].gt_boxes.tensor  # XYXY, pixels of ``image``
        plain["gt_classes"] = image["instances"].gt_classes
    return plain
