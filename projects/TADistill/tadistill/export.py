"""Out of the distillation, into the world: a plain student that stock Detectron2 opens."""

import logging
import os

import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.utils.file_io import PathManager
from torch import nn

logger = logging.getLogger(__name__)


def student_state_dict(model: nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a :class:`TADistillRCNN` (or of any detector) without the adapters."""
    return plain_state_dict(model.state_dict())


def plain_state_dict(state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """``state_dict`` without what only the distillation needed."""
    return {
        name: tensor.detach().cpu()
        for name, tensor in state_dict.items()
        if not name.startswith("adapters.")
    }


def student_config(cfg: CfgNode) -> CfgNode:
    """The student's config without any key of TADistill's, for ``GeneralizedRCNN``.

    It has the keys that differ from Detectron2's defaults, so that it is short, and opens in
    other versions of Detectron2 too.
    """
    student = _difference(cfg, get_cfg())
    student.setdefault("MODEL", CfgNode())
    if student.MODEL.get("META_ARCHITECTURE") == "TADistillRCNN":
        del student.MODEL["META_ARCHITECTURE"]
    student.VERSION = cfg.VERSION
    return student


def export_student(model: nn.Module, cfg: CfgNode, directory: str, name: str = "student_final"):
    """Writes ``name.pth`` and ``name.yaml``, which stock Detectron2 opens without tadistill.

    Args:
        model: a :class:`TADistillRCNN` or a plain detector.
        cfg: its config.
        directory: where to; made if need be.
        name: of both files.

    Returns:
        The paths of the weights and of the config.
    """
    return write_student(student_state_dict(model), cfg, directory, name)


def write_student(
    state_dict: dict[str, torch.Tensor], cfg: CfgNode, directory: str, name: str = "student_final"
) -> tuple[str, str]:
    """As :func:`export_student`, from the weights alone."""
    PathManager.mkdirs(directory)
    weights_path = os.path.join(directory, f"{name}.pth")
    config_path = os.path.join(directory, f"{name}.yaml")

    student_cfg = student_config(cfg)
    student_cfg.MODEL.WEIGHTS = weights_path
    with PathManager.open(weights_path, "wb") as f:
        torch.save({"model": plain_state_dict(state_dict), "__author__": "tadistill"}, f)
    with PathManager.open(config_path, "w") as f:
        f.write(student_cfg.dump())
    logger.info("The student alone, for stock Detectron2: %s and %s", weights_path, config_path)
    return weights_path, config_path


def _difference(cfg: CfgNode, defaults: CfgNode) -> CfgNode:
    """The keys of ``cfg`` that ``defaults`` has too, with another value."""
    difference = CfgNode()
    for key, default in defaults.items():
        if key not in cfg:
            continue
        if isinstance(default, CfgNode):
            inner = _difference(cfg[key], default)
            if inner:
                difference[key] = inner
        elif cfg[key] != default:
            difference[key] = cfg[key]
    return difference
