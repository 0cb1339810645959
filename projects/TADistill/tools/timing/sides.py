"""The sides: each runs once and marks its phases."""

from collections.abc import Callable

import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils.events import EventStorage
from detectron2.utils.file_io import PathManager
from torch import nn

from tadistill.box_head import run_box_head
from tadistill.data import ResumableLoader
from tadistill.engine.optimizer import build_optimizer

from .batches import to_device
from .pair import Pair
from .rounds import Side, Stopwatch


def training_side(cfg: CfgNode, model: nn.Module, batch: list[dict]) -> Side:
    """Forward, backward and optimizer of one training step: a or c."""
    return step_side(lambda: sum(model(batch).values()), build_optimizer(cfg, model))


def step_side(loss: Callable[[], torch.Tensor], optimizer: torch.optim.Optimizer) -> Side:
    """As :func:`training_side`, of any loss."""

    def step(watch: Stopwatch) -> None:
        with EventStorage(start_iter=1):  # as most iterations, not one that BALANCE measures in
            total = loss()
        watch.mark("forward")
        total.backward()
        watch.mark("backward")
        optimizer.step()
        optimizer.zero_grad()
        watch.mark("optimizer")

    return step


def teacher_side(pair: Pair) -> Side:
    """b: the stock teacher, by the parts that a distilled step may ask for. The images are on the
    device already, where the student's step has brought them.
    """
    teacher, sampled = pair.teacher, pair.sampled
    batch = to_device(pair.batch, pair.device)
    if teacher.input_format != pair.cfg.INPUT.FORMAT:
        batch = [{**x, "image": x["image"].flip(0)} for x in batch]

    @torch.no_grad()
    def infer(watch: Stopwatch) -> None:
        images = teacher.preprocess_image(batch)
        features = teacher.backbone(images.tensor)
        watch.mark("backbone")
        teacher.proposal_generator(images, features, None)
        watch.mark("rpn")
        run_box_head(teacher.roi_heads, features, sampled)
        watch.mark("box_head")

    return infer


def data_is_here(cfg: CfgNode) -> bool:
    """Whether all training data sets are registered, in COCO format, and their files there."""
    names = cfg.DATASETS.TRAIN
    return bool(names) and all(
        name in DatasetCatalog.list()
        and PathManager.isfile(MetadataCatalog.get(name).get("json_file", ""))
        for name in names
    )


def loading_side(cfg: CfgNode) -> Side:
    """One batch of the training data, by the loader of ``train_net.py``."""
    batches = iter(ResumableLoader.from_cfg(cfg))

    def load(watch: Stopwatch) -> None:
        next(batches)
        watch.mark("data")

    return load
