"""TADistillRCNN: a GeneralizedRCNN that, in training, also listens to a frozen teacher."""

import logging

import torch
from detectron2.config import configurable
from detectron2.modeling import META_ARCH_REGISTRY, GeneralizedRCNN
from detectron2.utils.events import get_event_storage
from torch import Tensor

from .adapters import Adapters
from .balance import GradientBalance
from .box_head import roi_losses, run_box_head
from .distillable import (
    check_anchors,
    check_balance,
    check_channel_order,
    check_forward,
    check_pair,
)
from .distillation import distillation_losses
from .errors import ConfigError
from .ground_truth import ground_truth, with_gt_index
from .host_scalars import HostScalars
from .levels import match_levels
from .options import DistillationOptions
from .parallel import holds
from .proposals import SharedProposals, label_and_sample, share_proposals
from .teacher import FrozenTeacher, build_teacher

logger = logging.getLogger(__name__)

# What is trained or kept beside the student, by the prefixes of its tensors' names.
BESIDE_THE_STUDENT = {"adapters": Adapters, "balance": GradientBalance}
_TAKEN = "{} is the name of what the distillation has there: call your own otherwise"


@META_ARCH_REGISTRY.register()
class TADistillRCNN(GeneralizedRCNN):
    """The student of task-adaptive distillation (arXiv:2006.13108).

    It *is* the student: its parameters carry the plain names of a ``GeneralizedRCNN``, with
    ``adapters.*`` beside them, and all that is not training (inference, TTA, tracing) is
    inherited. The teacher hangs outside the module tree: not in ``parameters()``,
    ``state_dict()`` or ``named_modules()``, always in eval mode, following ``.to(device)``.

    Attributes:
        teacher: the frozen teacher, a ``GeneralizedRCNN``; None with distillation off. Images that
            are given to it have its own channel order.
        student: a plain ``GeneralizedRCNN`` over the same modules, without teacher and adapters.
            Its modules being this model's, ``student.eval()`` is theirs too: copy it to evaluate it
            in the middle of a step.
        distillation_weight: w(t). ``DistillationDecayHook`` sets it before each step; None, until
            somebody does, counts as 1.
        gate_shares: after a step, for each gate the share of regions in which the teacher won:
            scalars on the CPU by the names "logit", "box" and "feature".
        balance_scales: after a step with ``BALANCE``, s_x by the names of the terms: scalars too.
        has_inherited: whether :func:`tadistill.inherit_from_teacher` was called.
    """

    has_inherited = False

    @configurable
    def __init__(
        self,
        *,
        teacher: FrozenTeacher | None,
        options: DistillationOptions,
        **student,
    ):
        """
        Args:
            teacher: None switches distillation off: a training step is then bitwise that of
                ``GeneralizedRCNN``.
            options: see :mod:`tadistill.options`.
            student: the arguments of ``GeneralizedRCNN``.

        Raises:
            ConfigError: if the student cannot be distilled or does not fit the teacher.
        """
        super().__init__(**student)
        self._teacher = teacher
        self._options = options
        self.distillation_weight: float | None = None
        self._gate_shares = HostScalars()
        self._balance_scales = HostScalars()
        if teacher is None:
            return
        if not isinstance(teacher, FrozenTeacher):
            raise ConfigError(
                f"the teacher is a {type(teacher).__name__}; give the model and its weights to "
                "tadistill.teacher.trained_teacher, and what that returns to TADistillRCNN"
            )
        for name in ("adapters", "balance") if options.balances else ("adapters",):
            if hasattr(type(self), name):  # which would be found before any module
                raise ConfigError(_TAKEN.format(name))
        check_forward(type(self), TADistillRCNN)
        check_channel_order(self, teacher.student_format)
        check_pair(self, teacher.model, options)
        self._levels = {}
        if options.feature.weight > 0:
            self._levels = match_levels(
                self.backbone.output_shape(),
                teacher.model.backbone.output_shape(),
                options.feature.levels,
            )
            if options.feature.mask == "anchor":
                check_anchors(self, self._levels)
        # From a forked random state, for the sake of the student's; see build_teacher.
        with torch.random.fork_rng(devices=[]):
            self.adapters = Adapters(self._levels)
        if options.balances:
            check_balance(self)
            self.balance = GradientBalance(options.balance, options.weights)

    @classmethod
    def from_config(cls, cfg):
        student = super().from_config(cfg)
        options = DistillationOptions.from_cfg(cfg)
        enabled = cfg.MODEL.TADISTILL.ENABLED and options.needs_teacher
        return {
            **student,
            "options": options,
            "teacher": build_teacher(cfg) if enabled else None,
        }

    @property
    def teacher(self) -> GeneralizedRCNN | None:
        return self._teacher.model if self._teacher else None

    @property
    def is_yet_to_inherit(self) -> bool:
        """Whether ``INHERIT`` asks for a start from the teacher that nobody has made."""
        return self._teacher is not None and self._options.inherit and not self.has_inherited

    @property
    def gate_shares(self) -> dict[str, Tensor]:
        return self._gate_shares.read()

    @property
    def balance_scales(self) -> dict[str, Tensor]:
        return self._balance_scales.read()

    @property
    def student(self) -> GeneralizedRCNN:
        student = GeneralizedRCNN(
            backbone=self.backbone,
            proposal_generator=self.proposal_generator,
            roi_heads=self.roi_heads,
            pixel_mean=self.pixel_mean.flatten().tolist(),
            pixel_std=self.pixel_std.flatten().tolist(),
            input_format=self.input_format,
            vis_period=self.vis_period,
        )
        student.pixel_mean, student.pixel_std = self.pixel_mean, self.pixel_std
        student.training = self.training
        return student

    def __setattr__(self, name: str, value):
        # ``nn.Module`` would make a module of that name part of the student, beside the property.
        if name in ("teacher", "student"):
            raise AttributeError(f"{name} cannot be set: build another TADistillRCNN instead")
        ours = BESIDE_THE_STUDENT.get(name)
        if ours and name in self._modules and not holds(value, ours):
            raise ConfigError(_TAKEN.format(name))
        super().__setattr__(name, value)

    def forward(self, batched_inputs: list[dict]):
        """As ``GeneralizedRCNN.forward``; in training with ``loss_tad_*`` among the losses."""
        if not self.training or self._teacher is None or not self._options.needs_teacher_in_steps:
            return super().forward(batched_inputs)
        weight = self._current_weight()
        if weight == 0:
            # Nothing of the teacher is asked for, so it is not run.
            losses = super().forward(batched_inputs)
            return {**losses, **self._silent_losses(losses)}
        return self._distilled_step(batched_inputs, weight)

    def _distilled_step(self, batched_inputs: list[dict], weight: float) -> dict[str, Tensor]:
        """One training step, in reading order. Suffix S: student, T: teacher."""
        teacher, options = self._teacher, self._options
        # Both models preprocess the images: they are moved to the device once.
        batched_inputs = [{**x, "image": x["image"].to(self.device)} for x in batched_inputs]
        gt_instances = with_gt_index(ground_truth(batched_inputs, self.device))

        # The teacher first: what it needs on the way is free before the student's activations, kept
        # for the backward pass, take their place. The other way round the peak of memory is higher
        # and, on a CPU, the step slower.
        images_T = teacher.images(batched_inputs)
        features_T = teacher.features(images_T)
        images_S = self.preprocess_image(batched_inputs)
        features_S = self.backbone(images_S.tensor)

        proposals_S, rpn_losses = self.proposal_generator(images_S, features_S, gt_instances)
        proposals_T = None
        teacher.wait_for(features_T)
        if options.needs_teacher_proposals:
            proposals_T = teacher.proposals(images_T, features_T)
        proposals = share_proposals(
            proposals_S, proposals_T, options.sharing.source, options.sharing.nms_thresh
        )
        sampled = label_and_sample(self.roi_heads, proposals, gt_instances)

        head_T = None
        if options.needs_teacher_head:  # first again, for the same reason
            head_T = teacher.box_head(features_T, sampled)
        head_S = run_box_head(self.roi_heads, features_S, sampled)

        # In GeneralizedRCNN's order: the sum of the losses is then bitwise its own.
        losses = roi_losses(self.roi_heads, features_S, sampled, head_S)
        losses.update(rpn_losses)
        terms, gate_shares = distillation_losses(
            options,
            levels=self._levels,
            adapters=self.adapters,
            features_S=features_S,
            features_T=features_T,
            sampled=sampled,
            head_S=head_S,
            head_T=head_T,
            predictor_S=self.roi_heads.box_predictor,
            predictor_T=teacher.model.roi_heads.box_predictor,
            gt_instances=gt_instances,
            anchors=self._anchors(features_S),
        )
        scales = None
        if options.balances:
            terms, scales = self.balance(terms, losses, features_S)
        if torch.is_grad_enabled():  # not of losses that somebody looks at after the step
            self._gate_shares, self._balance_scales = HostScalars(gate_shares), HostScalars(scales)
        losses.update({f"loss_tad_{name}": weight * term for name, term in terms.items()})
        self._visualize(batched_inputs, proposals)
        return losses

    def _anchors(self, features_S: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """(H, W, A, 4) by level, where the feature term's mask asks for them."""
        if not self._levels or self._options.feature.mask != "anchor":
            return None
        rpn = self.proposal_generator
        maps = [features_S[name] for name in rpn.in_features]
        anchors = [boxes.tensor for boxes in rpn.anchor_generator(maps)]
        return {
            name: boxes.view(*map_S.shape[-2:], -1, 4)
            for name, map_S, boxes in zip(rpn.in_features, maps, anchors, strict=True)
        }

    def _current_weight(self) -> float:
        if self.distillation_weight is None:
            logger.warning(
                "Nothing sets the weight of the distillation terms, so it stays at 1: add "
                "tadistill.DistillationDecayHook(cfg) to the trainer's hooks, or set "
                "model.distillation_weight in your loop (model.module.distillation_weight under "
                "DistributedDataParallel)."
            )
            self.distillation_weight = 1.0
        return self.distillation_weight

    def _silent_losses(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """The terms of any other step, all zero but with a graph. What other steps reach by the
        feature term alone is in it, the adapters and levels that no head reads: the ranks of a
        distributed training expect a gradient of every parameter at every step.
        """
        if torch.is_grad_enabled():
            self._gate_shares, self._balance_scales = HostScalars(), HostScalars()
        parameters = [*self.adapters.parameters()]
        if not self._heads_read_levels():
            parameters += self.backbone.parameters()
        graph = [*losses.values(), *(p.sum() for p in parameters)]
        zero = 0.0 * sum(graph)
        return {f"loss_tad_{name}": zero for name in self._options.weights}

    def _heads_read_levels(self) -> bool:
        """Whether RPN and box head read all levels that the feature term compares."""
        rpn = getattr(self.proposal_generator, "in_features", ())
        box_head = getattr(self.roi_heads, "box_in_features", ())
        return self._levels.keys() <= {*rpn, *box_head}

    def _visualize(self, batched_inputs: list[dict], proposals: SharedProposals) -> None:
        if self.vis_period > 0 and get_event_storage().iter % self.vis_period == 0:
            self.visualize_training(batched_inputs, proposals.distinct())

    def _apply(self, fn, *args, **kwargs):
        if self._teacher is not None:
            self._teacher.follow(fn)
        return super()._apply(fn, *args, **kwargs)
