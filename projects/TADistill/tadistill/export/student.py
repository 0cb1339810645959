"""The plain student: weights and a config that stock Detectron2 opens, if its backbone is one of
Detectron2's.
"""

import logging
import os

import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.modeling import META_ARCH_REGISTRY, GeneralizedRCNN
from detectron2.utils import comm
from torch import Tensor, nn

from ..architecture import is_distilled, own_inference
from ..backbones import without_timm_weights
from ..errors import ConfigError
from ..files import written_whole
from ..parallel import holds, unwrapped
from ..rcnn import BESIDE_THE_STUDENT
from ..tensor_names import plainly_named
from ..weights import not_finite
from .opened_by import opened_by

logger = logging.getLogger(__name__)


def student_config(cfg: CfgNode) -> CfgNode:
    """The student's config without any key of TADistill's, for ``GeneralizedRCNN``.

    It has the keys that differ from Detectron2's defaults, so that it is short, and opens in
    other versions of Detectron2 too. How the student was trained (``SOLVER``, ``OUTPUT_DIR``) is
    left out: a run that starts from this file must not write over the one that it came from. Keys
    of other projects stay: their backbones need them. So does ``MODEL.TIMM`` for a backbone of
    timm, for which ``tadistill`` is needed to open the student: see :func:`export_student`.
    """
    cfg = without_timm_weights(cfg)
    cfg.MODEL.pop("TADISTILL", None)
    if "timm" not in cfg.MODEL.BACKBONE.NAME:  # other projects' read the node too
        cfg.MODEL.pop("TIMM", None)
    for training in ("SOLVER", "OUTPUT_DIR"):
        del cfg[training]
    student = _difference(cfg, get_cfg())
    student.setdefault("MODEL", CfgNode())
    if is_distilled(cfg):
        student.MODEL.pop("META_ARCHITECTURE", None)
    student.VERSION = cfg.VERSION
    return student


def export_student(
    model: nn.Module, cfg: CfgNode, directory: str, name: str = "student_final"
) -> tuple[str, str]:
    """Writes ``name.pth`` and ``name.yaml``, which stock Detectron2 opens without tadistill.

    With a backbone of timm, which Detectron2 does not have, they are opened by a plain
    ``GeneralizedRCNN`` as well, after ``import tadistill`` and
    ``tadistill.add_tadistill_config(cfg)``.

    In several processes each may call this: the main one writes, the others return at once.

    Args:
        model: a :class:`TADistillRCNN` or a plain detector; compiled, averaged or in a
            ``DistributedDataParallel`` or not.
        cfg: its config.
        directory: where to; made if need be.
        name: of both files.

    Returns:
        The paths of the weights and of the config.

    Raises:
        ConfigError: if the model is neither, as one inside another project's wrapper, or has
            weights that are not finite.
    """
    weights_path = os.path.join(directory, f"{name}.pth")
    config_path = os.path.join(directory, f"{name}.yaml")
    if not comm.is_main_process():
        return weights_path, config_path
    weights = _student_weights(model, cfg)
    os.makedirs(directory, exist_ok=True)

    student_cfg = student_config(cfg)
    student_cfg.MODEL.WEIGHTS = weights_path
    with written_whole(weights_path) as f:
        torch.save({"model": weights, "__author__": "tadistill"}, f)
    with written_whole(config_path, "w") as f:
        f.write(student_cfg.dump())
    _warn_of_what_stays_behind(type(unwrapped(model)))
    opener = opened_by(student_cfg)
    logger.info("The student alone, for %s: %s and %s", opener, weights_path, config_path)
    return weights_path, config_path


def _student_weights(model: nn.Module, cfg: CfgNode) -> dict[str, Tensor]:
    """On the CPU, by the names that the tensors have in a model which nothing wraps."""
    model = unwrapped(model)
    name = cfg.MODEL.META_ARCHITECTURE
    architecture = META_ARCH_REGISTRY.get(name) if name in META_ARCH_REGISTRY else GeneralizedRCNN
    # Of a function nothing is known about what it builds.
    if isinstance(architecture, type) and not isinstance(model, (GeneralizedRCNN, architecture)):
        raise ConfigError(
            f"export_student was given a {type(model).__name__}, and MODEL.META_ARCHITECTURE is "
            f"{name!r}: its weights would have other names. Give it the model itself; of a "
            "wrapper, the one inside"
        )
    # Another detector's parts of these names are its own.
    only_to_distil = tuple(
        f"{name}."
        for name, kind in BESIDE_THE_STUDENT.items()
        if holds(getattr(model, name, None), kind)
    )
    broken = [name for name in not_finite(model) if not name.startswith(only_to_distil)]
    if broken:
        raise ConfigError(
            f"the student has values that are not finite in {len(broken)} tensors, as a training "
            f"that has diverged leaves them: {', '.join(broken[:8])}. An earlier checkpoint may be "
            "sound: see tools/export_student.py"
        )
    weights = plainly_named(model.state_dict())
    for key in [*weights]:
        if key.startswith(only_to_distil):
            del weights[key]
        else:
            weights[key] = weights[key].detach().cpu()
    return weights


def _warn_of_what_stays_behind(model: type) -> None:
    methods = own_inference(model)
    if methods:
        logger.warning(
            "The student is exported as a GeneralizedRCNN, which has no %s of %s: it detects "
            "otherwise. Open its weights with a class that has them",
            ", ".join(methods),
            model.__name__,
        )


def _difference(cfg: CfgNode, defaults: CfgNode) -> CfgNode:
    """The keys of ``cfg`` that ``defaults`` does not have, or has with another value."""
    difference = CfgNode()
    for key, value in cfg.items():
        if isinstance(value, CfgNode) and key in defaults:
            inner = _difference(value, defaults[key])
            if inner:
                difference[key] = inner
        elif key not in defaults or value != defaults[key]:
            difference[key] = value
    return difference
