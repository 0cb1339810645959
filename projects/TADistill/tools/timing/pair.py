"""A student, its teacher and a batch: what all sides of one comparison share."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.modeling import GeneralizedRCNN, build_model
from detectron2.structures import Instances
from detectron2.utils.events import EventStorage
from torch import nn

from tadistill import add_tadistill_config
from tadistill.backbones import without_timm_weights
from tadistill.checkpoint import TADistillCheckpointer
from tadistill.ground_truth import with_gt_index
from tadistill.merging import merge_file, merge_opts
from tadistill.proposals import label_and_sample, share_proposals
from tadistill.teacher import teacher_config

from .batches import image_size, synthetic_batch, to_device
from .variants import Variant

RANDOM = "random"


@dataclass(frozen=True)
class Shape:
    """What a batch is like; None for what the config says.

    Attributes:
        images: in the batch.
        side: of the square images, pixels.
        boxes: ground-truth boxes an image.
    """

    images: int | None = None
    side: int | None = None
    boxes: int = 8


@dataclass
class Pair:
    """
    Attributes:
        cfg: the student's config.
        teacher_cfg: the teacher's.
        batch: one training batch, as a loader gives it.
        student: the stock ``GeneralizedRCNN`` whose modules all distilled students share.
        teacher: a stock ``GeneralizedRCNN`` with the weights of the distilled students' teacher.
        sampled: the proposals that the box heads answer for in a step on ``batch``.
        shared: how many proposals they are sampled from.
        weights: where each model's come from: a file, or "random".
    """

    cfg: CfgNode
    teacher_cfg: CfgNode
    batch: list[dict]
    student: GeneralizedRCNN
    teacher: GeneralizedRCNN
    sampled: list[Instances]
    shared: int
    weights: dict[str, str]

    @property
    def device(self) -> torch.device:
        return self.student.device

    def distilled(self, variant: Variant) -> nn.Module:
        """A distilled model of that variant, around the shared student.

        Raises:
            ConfigError: if the config does not know the variant's keys, or refuses their values.
        """
        cfg = self.variant_cfg(variant)
        model = build_model(cfg).train()
        for part in ("backbone", "proposal_generator", "roi_heads"):
            setattr(model, part, getattr(self.student, part))
        model.distillation_weight = variant.weight
        return model

    def variant_cfg(self, variant: Variant) -> CfgNode:
        """The config of a variant.

        Raises:
            ConfigError: if the config does not know the variant's keys.
        """
        cfg = self.cfg.clone()
        merge_opts(cfg, variant.opts, f"variant {variant.name!r}")
        return cfg


def read_config(path: str, opts: Sequence[str] = (), device: str | None = None) -> CfgNode:
    """The config of a distilled training, with overrides.

    Raises:
        ConfigError: if it cannot be read.
    """
    cfg = get_cfg()
    add_tadistill_config(cfg)
    merge_file(cfg, path, "--config")
    merge_opts(cfg, opts, "--opts")
    if device:
        cfg.MODEL.DEVICE = device
    # A step does all of its work and leaves the weights as they were: all sides have the same
    # ones in all rounds.
    cfg.SOLVER.BASE_LR = 0.0
    return without_timm_weights(cfg)


def build_pair(cfg: CfgNode, shape: Shape, work: Path, seed: int = 0) -> Pair:
    """
    Args:
        cfg: from :func:`read_config`. Weights that are files on this machine are loaded; all
            others are random, which makes no difference to the time.
        shape: of the batch.
        work: a folder for random weights of a teacher.
        seed: of weights and batch.

    Raises:
        ConfigError: if teacher and student do not fit.
    """
    cfg = cfg.clone()
    size = (shape.side, shape.side) if shape.side else image_size(cfg)
    batch = synthetic_batch(
        shape.images or cfg.SOLVER.IMS_PER_BATCH,
        size,
        shape.boxes,
        cfg.MODEL.ROI_HEADS.NUM_CLASSES,
        seed,
    )
    torch.manual_seed(seed)
    teacher_cfg = without_timm_weights(teacher_config(cfg))
    node = cfg.MODEL.TADISTILL.TEACHER
    teacher, teacher_weights = _model(teacher_cfg, node.WEIGHTS, batch)
    if teacher_weights == RANDOM:
        node.WEIGHTS = str(work / "teacher.pth")
        torch.save({"model": teacher.state_dict()}, node.WEIGHTS)

    stock = cfg.clone()
    stock.MODEL.META_ARCHITECTURE = "GeneralizedRCNN"
    student, student_weights = _model(stock, stock.MODEL.WEIGHTS, batch)
    teacher.eval().requires_grad_(False)
    student.train()
    weights = {"student": student_weights, "teacher": teacher_weights}
    sampled, shared = _sampled(student, teacher, batch)
    return Pair(cfg, teacher_cfg, batch, student, teacher, sampled, shared, weights)


def _model(cfg: CfgNode, weights: str, batch: list[dict]) -> tuple[GeneralizedRCNN, str]:
    model = build_model(cfg)
    if os.path.isfile(weights):
        TADistillCheckpointer(model, save_to_disk=False).load(weights)
        return model, weights
    normalise(model.backbone, model.preprocess_image(batch).tensor)
    return model, RANDOM


@torch.no_grad()
def normalise(backbone: nn.Module, images: torch.Tensor) -> None:
    """Sets the statistics of all normalisations to those of the images. With random weights and
    the statistics of a fresh model, the maps of a deep backbone grow beyond float32.

    Args:
        backbone: left in eval mode.
        images: (N, 3, H, W), as the backbone takes them.
    """

    def measure(norm: nn.Module, inputs: tuple) -> None:
        variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)

    # BatchNorm of whichever library, frozen or not.
    norms = [m for m in backbone.modules() if getattr(m, "running_var", None) is not None]
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    backbone.eval()
    backbone(images)
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def _sampled(
    student: GeneralizedRCNN, teacher: GeneralizedRCNN, batch: list[dict]
) -> tuple[list[Instances], int]:
    """Proposals of the union, labelled and sampled as in a step; and how many the union has."""
    batch = to_device(batch, student.device)
    gt_instances = with_gt_index([x["instances"] for x in batch])
    images_S, images_T = student.preprocess_image(batch), teacher.preprocess_image(batch)
    with EventStorage():
        proposals_S, _ = student.proposal_generator(
            images_S, student.backbone(images_S.tensor), gt_instances
        )
        proposals_T, _ = teacher.proposal_generator(images_T, teacher.backbone(images_T.tensor))
        shared = share_proposals(proposals_S, proposals_T)
        sampled = label_and_sample(student.roi_heads, shared, gt_instances)
    return sampled, sum(map(len, shared.distinct()))
