"""What can be known to be wrong before the first step is spent."""

from collections.abc import Sequence

import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog

from ..errors import ConfigError


def check_before_training(cfg: CfgNode) -> None:
    """Checks device and datasets for training and the evaluation that ends it.

    The teacher is checked when the model is built: see :mod:`tadistill.teacher.build`.

    Raises:
        ConfigError: naming the config key, the value found and what to do.
    """
    check_device(cfg)
    check_datasets(cfg, "DATASETS.TRAIN", cfg.DATASETS.TRAIN)
    check_datasets(cfg, "DATASETS.TEST", cfg.DATASETS.TEST)
    if not cfg.DATASETS.TRAIN:
        raise ConfigError("DATASETS.TRAIN is empty: name a dataset to train on")


def check_device(cfg: CfgNode) -> None:
    on_gpu = cfg.MODEL.DEVICE.startswith("cuda")
    if on_gpu and not torch.cuda.is_available():
        raise ConfigError(
            f"MODEL.DEVICE is {cfg.MODEL.DEVICE!r}, but this machine has no GPU that torch can "
            'use; to train on the CPU add "MODEL.DEVICE cpu" to the command'
        )
    if cfg.SOLVER.AMP.ENABLED and not on_gpu:
        raise ConfigError(
            "SOLVER.AMP.ENABLED is True, but Detectron2's mixed-precision trainer needs a GPU "
            f"and MODEL.DEVICE is {cfg.MODEL.DEVICE!r}; set it to False"
        )


def check_datasets(cfg: CfgNode, key: str, names: Sequence[str]) -> None:
    """Checks that each dataset exists, can be read and has as many classes as the model."""
    for name in names:
        if name not in DatasetCatalog.list():
            raise ConfigError(
                f"{key} names {name!r}, which is not registered; register data of your own with "
                f"--register-coco {name} ANNOTATIONS.json IMAGE_DIR"
            )
        classes = _classes(key, name)
        num_classes = cfg.MODEL.ROI_HEADS.NUM_CLASSES
        if classes is not None and len(classes) != num_classes:
            shown = ", ".join(classes[:5]) + (", …" if len(classes) > 5 else "")
            raise ConfigError(
                f"MODEL.ROI_HEADS.NUM_CLASSES is {num_classes}, but {name} ({key}) has "
                f"{len(classes)} classes ({shown}); set it to {len(classes)}"
            )


def _classes(key: str, name: str) -> list[str] | None:
    metadata = MetadataCatalog.get(name)
    if metadata.get("thing_classes") is None:  # a COCO file is read for its classes
        try:
            DatasetCatalog.get(name)
        except Exception as e:  # whatever a broken annotation file makes its loader raise
            source = metadata.get("json_file", name)
            raise ConfigError(
                f"{key}: {name} cannot be read from {source}: {type(e).__name__}: {e}"
            ) from e
    return metadata.get("thing_classes")
