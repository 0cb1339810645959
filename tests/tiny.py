"""Detectors of some thousand weights, a teacher for them, and batches of noise with boxes.

cfg = student_cfg(teacher_files)          a TADistillRCNN that listens to that teacher
model = build(cfg, seed=0)
losses = step(model, batch())
"""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage
from torch import nn

from tadistill import add_tadistill_config

NUM_CLASSES = 3


@dataclass(frozen=True)
class TeacherFiles:
    """What MODEL.TADISTILL.TEACHER points at."""

    config: Path
    weights: Path


@dataclass(frozen=True)
class CocoFiles:
    """A data set in COCO format."""

    annotations: Path
    images: Path


def plain_cfg(*opts) -> CfgNode:
    """A Faster R-CNN with FPN that stock Detectron2 knows; ``opts`` are overrides."""
    cfg = get_cfg()
    model = cfg.MODEL
    model.DEVICE = "cpu"
    model.WEIGHTS = ""
    model.PIXEL_MEAN, model.PIXEL_STD = [120.0, 115.0, 110.0], [60.0, 61.0, 62.0]
    model.BACKBONE.NAME = "build_resnet_fpn_backbone"
    model.BACKBONE.FREEZE_AT = 0
    model.RESNETS.OUT_FEATURES = ["res2", "res3", "res4", "res5"]
    model.RESNETS.NORM = "BN"
    model.RESNETS.STEM_OUT_CHANNELS = model.RESNETS.WIDTH_PER_GROUP = 2
    model.RESNETS.RES2_OUT_CHANNELS = 8
    model.FPN.IN_FEATURES = ["res2", "res3", "res4", "res5"]
    model.FPN.OUT_CHANNELS = 8
    model.ANCHOR_GENERATOR.SIZES = [[20], [28], [36], [64], [96]]
    model.RPN.IN_FEATURES = ["p2", "p3", "p4", "p5", "p6"]
    model.RPN.PRE_NMS_TOPK_TRAIN = model.RPN.PRE_NMS_TOPK_TEST = 200
    model.RPN.POST_NMS_TOPK_TRAIN = model.RPN.POST_NMS_TOPK_TEST = 100
    model.RPN.BATCH_SIZE_PER_IMAGE = 32
    model.ROI_HEADS.NAME = "StandardROIHeads"
    model.ROI_HEADS.IN_FEATURES = ["p2", "p3", "p4", "p5"]
    model.ROI_HEADS.NUM_CLASSES = NUM_CLASSES
    model.ROI_HEADS.BATCH_SIZE_PER_IMAGE = 32
    model.ROI_HEADS.IOU_THRESHOLDS = [0.3]  # untrained, few regions overlap a box more
    model.ROI_HEADS.SCORE_THRESH_TEST = 0.0
    model.ROI_BOX_HEAD.NAME = "FastRCNNConvFCHead"
    model.ROI_BOX_HEAD.NUM_FC = 1
    model.ROI_BOX_HEAD.FC_DIM = 12
    model.ROI_BOX_HEAD.POOLER_RESOLUTION = 3
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MIN_SIZE_TEST = (64,), 64
    cfg.INPUT.MAX_SIZE_TRAIN = cfg.INPUT.MAX_SIZE_TEST = 96
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.SOLVER.IMS_PER_BATCH = 2
    cfg.SOLVER.BASE_LR = 0.01
    cfg.SOLVER.WARMUP_ITERS = 0
    cfg.TEST.DETECTIONS_PER_IMAGE = 10
    cfg.SEED = 1
    cfg.merge_from_list(list(opts))
    return cfg


def teacher_cfg(*opts) -> CfgNode:
    """A plain Faster R-CNN that differs from the student in channels, norm and pixel statistics."""
    return plain_cfg(
        *("MODEL.FPN.OUT_CHANNELS", 16, "MODEL.ROI_BOX_HEAD.FC_DIM", 20),
        *("MODEL.PIXEL_MEAN", [100.0, 105.0, 111.0], "MODEL.PIXEL_STD", [50.0, 51.0, 52.0]),
        *opts,
    )


def student_cfg(teacher: TeacherFiles | None, *opts) -> CfgNode:
    """A TADistillRCNN; with no teacher, distillation is off."""
    cfg = plain_cfg()
    add_tadistill_config(cfg)
    cfg.MODEL.META_ARCHITECTURE = "TADistillRCNN"
    cfg.MODEL.TADISTILL.ENABLED = teacher is not None
    cfg.MODEL.TADISTILL.BALANCE.ENABLED = False  # the terms as their formulas have them
    if teacher is not None:
        cfg.MODEL.TADISTILL.TEACHER.CONFIG_FILE = str(teacher.config)
        cfg.MODEL.TADISTILL.TEACHER.WEIGHTS = str(teacher.weights)
    cfg.merge_from_list(list(opts))
    return cfg


def term_weights(feature: float, logit: float, box: float) -> tuple:
    """The three lambdas, as overrides."""
    return (
        *("MODEL.TADISTILL.FEATURE.WEIGHT", float(feature)),
        *("MODEL.TADISTILL.LOGIT.WEIGHT", float(logit)),
        *("MODEL.TADISTILL.BOX.WEIGHT", float(box)),
    )


def source(name: str) -> tuple:
    """Whose proposals, as an override."""
    return ("MODEL.TADISTILL.PROPOSALS.SOURCE", name)


def build(cfg: CfgNode, seed: int = 0) -> nn.Module:
    """The model of ``cfg`` in train mode, its weights and the random state fixed by ``seed``."""
    torch.manual_seed(seed)
    return build_model(cfg).train()


def liven(model: nn.Module, seed: int = 10) -> nn.Module:
    """Makes an untrained detector's answers differ from region to region, as a trained one's do.

    Heads begin with weights of 0.01 and BatchNorm with mean 0 and variance 1; here the heads say
    something and the running statistics are not what a fresh model has.
    """
    generator = torch.Generator().manual_seed(seed)

    def noise(like, scale):
        return torch.randn(like.shape, generator=generator) * scale

    with torch.no_grad():
        predictor = model.roi_heads.box_predictor
        predictor.cls_score.weight.add_(noise(predictor.cls_score.weight, 0.5))
        predictor.bbox_pred.weight.add_(noise(predictor.bbox_pred.weight, 0.03))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.add_(noise(buffer, 0.05))
            elif name.endswith("running_var"):
                buffer.mul_(1 + 0.1 * noise(buffer, 1.0).abs())
    return model


def with_statistics(model: nn.Module) -> nn.Module:
    """What a fresh BatchNorm does not have: statistics and an affine part that do something."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    return model


def save_teacher(cfg: CfgNode, directory: Path, name: str = "teacher", seed: int = 7):
    """Writes a teacher of ``cfg`` as a user would have it: a YAML file and a checkpoint."""
    files = TeacherFiles(directory / f"{name}.yaml", directory / f"{name}.pth")
    files.config.write_text(cfg.dump())
    torch.save({"model": liven(build(cfg, seed)).state_dict()}, files.weights)
    return files


def batch(counts=(4, 5), sizes=((67, 93), (96, 71)), seed: int = 3) -> list[dict]:
    """Images of noise, ``sizes`` (height, width), with ``counts`` boxes each."""
    generator = torch.Generator().manual_seed(seed)
    inputs = []
    for count, (height, width) in zip(counts, sizes, strict=True):
        corner = torch.rand(count, 2, generator=generator) * torch.tensor([width, height]) * 0.5
        extent = 16 + torch.rand(count, 2, generator=generator) * 24
        instances = Instances((height, width))
        instances.gt_boxes = Boxes(torch.cat([corner, corner + extent], dim=1))
        instances.gt_classes = torch.randint(NUM_CLASSES, (count,), generator=generator)
        image = torch.randint(256, (3, height, width), generator=generator, dtype=torch.uint8)
        inputs.append({"image": image, "instances": instances, "height": height, "width": width})
    return inputs


def step(model: nn.Module, inputs: list[dict], seed: int | None = 11) -> dict[str, torch.Tensor]:
    """The losses of one training step, with their gradients in the parameters."""
    if seed is not None:
        torch.manual_seed(seed)
    model.zero_grad()
    with EventStorage():
        losses = model(inputs)
    sum(losses.values()).backward()
    return losses


def gradients(model: nn.Module) -> dict[str, torch.Tensor | None]:
    """Each parameter's gradient by the parameter's name."""
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def same_tensors(first: dict, second: dict) -> bool:
    """Whether two dictionaries of tensors are bitwise equal, in names, order and values."""
    return list(first) == list(second) and all(
        torch.equal(first[name], second[name]) for name in first
    )


def same_detections(first: list[dict], second: list[dict]) -> bool:
    """Whether two lists of detections are bitwise equal."""
    return all(
        torch.equal(a["instances"].pred_boxes.tensor, b["instances"].pred_boxes.tensor)
        and torch.equal(a["instances"].scores, b["instances"].scores)
        and torch.equal(a["instances"].pred_classes, b["instances"].pred_classes)
        for a, b in zip(first, second, strict=True)
    )


def clone(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A copy of a state dict, which training does not change."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def write_coco(directory: Path, num_images: int = 6) -> CocoFiles:
    """Writes images of bright boxes on a dark ground, one to three an image, the last without."""
    rng = np.random.default_rng(0)
    files = CocoFiles(directory / "annotations.json", directory / "images")
    files.images.mkdir(parents=True)
    images, annotations = [], []
    for image_id in range(1, num_images + 1):
        height, width = (int(side) for side in rng.integers(64, 97, 2))
        picture = rng.integers(0, 60, (height, width, 3), dtype=np.uint8)
        for _ in range(0 if image_id == num_images else rng.integers(1, 4)):
            w, h = (int(side) for side in rng.integers(16, 40, 2))
            x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
            label = int(rng.integers(NUM_CLASSES))
            picture[y : y + h, x : x + w, label] = 255
            box = {"bbox": [x, y, w, h], "area": w * h, "iscrowd": 0, "category_id": label + 1}
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **box})
        name = f"{image_id}.png"
        cv2.imwrite(str(files.images / name), picture)
        images.append({"id": image_id, "file_name": name, "height": height, "width": width})
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(("blue", "green", "red"))]
    content = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
    files.annotations.write_text(json.dumps(content))
    return files
