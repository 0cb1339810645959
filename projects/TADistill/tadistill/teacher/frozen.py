"""The teacher as the student sees it: three questions, no gradients, nothing to train."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from detectron2.modeling import GeneralizedRCNN
from detectron2.structures import ImageList, Instances
from torch import Tensor

from ..box_head import BoxHeadOutputs, run_box_head
from ..errors import ConfigError
from ..options import TeacherOptions
from .folding import fold_batch_norm

logger = logging.getLogger(__name__)


class FrozenTeacher:
    """Holds a ``GeneralizedRCNN`` where ``nn.Module`` does not look for submodules.

    Being a plain object, it keeps the teacher out of the student's ``parameters()``,
    ``state_dict()``, ``named_modules()`` and ``train()``; :meth:`follow` lets it follow a
    ``.to(device)``.

    Whatever makes it faster, its answers are plain float32 tensors, and ``model`` remains a
    ``GeneralizedRCNN`` that evaluates in float32.
    """

    _has_stream = False  # of one that was saved whole before there was this

    def __init__(
        self,
        model: GeneralizedRCNN,
        student_format: str = "BGR",
        options: TeacherOptions | None = None,
    ):
        """
        Args:
            model: the trained teacher. It is put in eval mode and its parameters are frozen.
            student_format: the channel order of the images that the student is given
                (``INPUT.FORMAT``). The teacher's own is ``model.input_format``.
            options: what makes it faster; None for nothing.

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
        options = options or TeacherOptions()
        self.student_format = student_format
        self._flip_channels = teacher_format != student_format
        self.model = model.eval().requires_grad_(False)
        self._dtype = options.dtype
        self._channels_last = options.channels_last
        self._is_to_be_folded = options.fold_bn
        if options.channels_last:
            model.to(memory_format=torch.channels_last)
        self._backbone = model.backbone
        if options.compile:
            self._backbone = torch.compile(model.backbone, dynamic=True)
        self._has_stream = options.stream
        self._stream: torch.cuda.Stream | None = None  # made when first asked for

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_stream": None}  # a stream can be neither copied nor saved

    def follow(self, fn: Callable[[Tensor], Tensor]) -> None:
        """Does to the teacher what ``nn.Module._apply`` does to the student."""
        self.model._apply(fn)
        self._stream = None  # of the GPU it was on

    @torch.no_grad()
    def images(self, batched_inputs: Sequence[Mapping]) -> ImageList:
        """The batch in the teacher's channel order, pixel mean and std, and padding."""
        return self.model.preprocess_image(self._in_own_order(batched_inputs))

    @torch.no_grad()
    def features(self, images: ImageList) -> dict[str, Tensor]:
        """``F_T^l``, by the names of the teacher's backbone. On a stream of its own they are only
        there after :meth:`wait_for`.
        """
        if self._is_to_be_folded:  # not before: an inheriting start copies the norms
            folded = fold_batch_norm(self.model)
            self._is_to_be_folded = False
            logger.info(f"Folded {folded} BatchNorm layers of the teacher.")
        if not self._has_stream:
            return self._features(images.tensor)
        if self._stream is None:
            self._stream = torch.cuda.Stream(images.tensor.device)
        self._stream.wait_stream(torch.cuda.current_stream(images.tensor.device))
        with torch.cuda.stream(self._stream):
            features = self._features(images.tensor)
        images.tensor.record_stream(self._stream)
        return features

    def wait_for(self, features: Mapping[str, Tensor]) -> None:
        """Lets what the GPU is asked to do from now on begin when the ``features`` are there."""
        if not self._has_stream:
            return
        stream = torch.cuda.current_stream(self.model.device)
        stream.wait_stream(self._stream)
        for feature in features.values():
            # Its memory is not to be used again while that stream reads it.
            feature.record_stream(stream)

    @torch.no_grad()
    def proposals(self, images: ImageList, features: Mapping[str, Tensor]) -> list[Instances]:
        """The teacher's RPN proposals, as many as its config keeps at test time."""
        features = {name: self._laid_out(feature) for name, feature in features.items()}
        with self._precision():
            proposals = self.model.proposal_generator(images, features, None)[0]
        for image in proposals:
            image.objectness_logits = image.objectness_logits.float()
        return proposals

    @torch.no_grad()
    def box_head(
        self, features: Mapping[str, Tensor], proposals: Sequence[Instances]
    ) -> BoxHeadOutputs:
        """What the teacher's box head says of the sampled proposals."""
        with self._precision():
            outputs = run_box_head(self.model.roi_heads, features, proposals)
        return BoxHeadOutputs(*(output.float() for output in outputs))

    @torch.no_grad()
    def detect(self, batched_inputs: Sequence[Mapping]) -> list[dict]:
        """Plain inference on images in the student's channel order."""
        return self.model(self._in_own_order(batched_inputs))

    def _features(self, images: Tensor) -> dict[str, Tensor]:
        with self._precision():
            features = self._backbone(self._laid_out(images))
        # Boxes are pooled from float32 maps: in bfloat16 their own coordinates would be rounded to
        # whole pixels and more.
        return {name: feature.float().contiguous() for name, feature in features.items()}

    def _laid_out(self, maps: Tensor) -> Tensor:
        # Not kept as an attribute: torch.save cannot pickle a torch.memory_format.
        layout = torch.channels_last if self._channels_last else torch.contiguous_format
        return maps.contiguous(memory_format=layout)

    def _precision(self) -> AbstractContextManager:
        if not self._dtype:  # as the student: under the trainer's autocast, if there is one
            return nullcontext()
        dtype = getattr(torch, self._dtype)
        half = dtype != torch.float32
        return torch.autocast(self.model.device.type, dtype if half else None, enabled=half)

    def _in_own_order(self, batched_inputs: Sequence[Mapping]) -> Sequence[Mapping]:
        if not self._flip_channels:
            return batched_inputs
        return [{**x, "image": x["image"].flip(0)} for x in batched_inputs]
