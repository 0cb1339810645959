"""The teacher as the student sees it: three questions, no gradients, nothing to train."""

from collections.abc import Callable, Mapping, Sequence

import torch
from detectron2.modeling import GeneralizedRCNN
from detectron2.structures import ImageList, Instances
from torch import Tensor

from ..box_head import BoxHeadOutputs, run_box_head
from ..errors import ConfigError


class FrozenTeacher:
    """Holds a ``GeneralizedRCNN`` where ``nn.Module`` does not look for submodules.

    Being a plain object, it keeps the teacher out of the student's ``parameters()``,
    ``state_dict()``, ``named_modules()`` and ``train()``; :meth:`follow` lets it follow a
    ``.to(device)``.
    """

    def __init__(self, model: GeneralizedRCNN, student_format: str = "BGR"):
        """
        Args:
            model: the trained teacher. It is put in eval mode and its parameters are frozen.
            student_format: the channel order of the images that the student is given
                (``INPUT.FORMAT``). The teacher's own is ``model.input_format``.

        Raises:
            ConfigError: if one order cannot be turned into the other.
        """
        teacher_format = model.input_format or student_format
        convertible = {teacher_format, student_format} == {"BGR", "RGB"}
        if teacher_format != student_format and not convertible:
            raise ConfigError(
                f"INPUT.FORMAT is {student_format!r} for the student and {teacher_format!r} for "
                "the teacher; only 'BGR' and 'RGB' can be turned into each other"
            )
        self._flip_channels = teacher_format != student_format
        self.model = model.eval().requires_grad_(False)

    def follow(self, fn: Callable[[Tensor], Tensor]) -> None:
        """Does to the teacher what ``nn.Module._apply`` does to the student."""
        self.model._apply(fn)

    @torch.no_grad()
    def images(self, batched_inputs: Sequence[Mapping]) -> ImageList:
        """The batch in the teacher's channel order, pixel mean and std, and padding."""
        return self.model.preprocess_image(self._in_own_order(batched_inputs))

    @torch.no_grad()
    def features(self, images: ImageList) -> dict[str, Tensor]:
        """``F_T^l``, by the names of the teacher's backbone."""
        return self.model.backbone(images.tensor)

    @torch.no_grad()
    def proposals(self, images: ImageList, features: Mapping[str, Tensor]) -> list[Instances]:
        """The teacher's RPN proposals, as many as its config keeps at test time."""
        return self.model.proposal_generator(images, features, None)[0]

    @torch.no_grad()
    def box_head(
        self, features: Mapping[str, Tensor], proposals: Sequence[Instances]
    ) -> BoxHeadOutputs:
        """What the teacher's box head says of the sampled proposals."""
        return run_box_head(self.model.roi_heads, features, proposals)

    @torch.no_grad()
    def detect(self, batched_inputs: Sequence[Mapping]) -> list[dict]:
        """Plain inference on images in the student's channel order."""
        return self.model(self._in_own_order(batched_inputs))

    def _in_own_order(self, batched_inputs: Sequence[Mapping]) -> Sequence[Mapping]:
        if not self._flip_channels:
            return batched_inputs
        return [{**x, "image": x["image"].flip(0)} for x in batched_inputs]
