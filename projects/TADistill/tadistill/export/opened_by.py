"""What opens an exported student: Detectron2 as it is, or what else has to be imported."""

from collections.abc import Callable

from detectron2.config import CfgNode, get_cfg
from detectron2.modeling import (
    ANCHOR_GENERATOR_REGISTRY,
    BACKBONE_REGISTRY,
    META_ARCH_REGISTRY,
    PROPOSAL_GENERATOR_REGISTRY,
    ROI_BOX_HEAD_REGISTRY,
    ROI_HEADS_REGISTRY,
    ROI_KEYPOINT_HEAD_REGISTRY,
    ROI_MASK_HEAD_REGISTRY,
    RPN_HEAD_REGISTRY,
)

from ..backbones import TIMM_FPN

_PARTS = {
    "MODEL.META_ARCHITECTURE": META_ARCH_REGISTRY,
    "MODEL.BACKBONE.NAME": BACKBONE_REGISTRY,
    "MODEL.PROPOSAL_GENERATOR.NAME": PROPOSAL_GENERATOR_REGISTRY,
    "MODEL.RPN.HEAD_NAME": RPN_HEAD_REGISTRY,
    "MODEL.ANCHOR_GENERATOR.NAME": ANCHOR_GENERATOR_REGISTRY,
    "MODEL.ROI_HEADS.NAME": ROI_HEADS_REGISTRY,
    "MODEL.ROI_BOX_HEAD.NAME": ROI_BOX_HEAD_REGISTRY,
    "MODEL.ROI_MASK_HEAD.NAME": ROI_MASK_HEAD_REGISTRY,
    "MODEL.ROI_KEYPOINT_HEAD.NAME": ROI_KEYPOINT_HEAD_REGISTRY,
}


def opened_by(student_cfg: CfgNode) -> str:
    """For the log: Detectron2, and what of other projects a config needs to become a model.

    Args:
        student_cfg: the keys that differ from Detectron2's defaults, as
            :func:`tadistill.export.student_config` gives them.
    """
    keys = _keys_of_others(student_cfg, get_cfg())
    parts = _parts_of_others(student_cfg)
    detectron2 = "stock Detectron2"
    if student_cfg.MODEL.get("BACKBONE", {}).get("NAME") == TIMM_FPN:
        detectron2 = "Detectron2 with tadistill and timm"
        keys.remove("MODEL.TIMM")
        parts.remove(TIMM_FPN)
    needs = [f"what declares {', '.join(keys)}"] if keys else []
    needs += [f"what registers {', '.join(parts)}"] if parts else []
    return detectron2 + (f" with {' and '.join(needs)}" if needs else "")


def _keys_of_others(cfg: CfgNode, defaults: CfgNode, prefix: str = "") -> list[str]:
    """The keys of ``cfg``, in full, that ``defaults`` does not have."""
    keys = []
    for key, value in cfg.items():
        if key not in defaults:
            keys.append(prefix + key)
        elif isinstance(value, CfgNode):
            keys += _keys_of_others(value, defaults[key], f"{prefix}{key}.")
    return keys


def _parts_of_others(cfg: CfgNode) -> list[str]:
    """The names in ``cfg`` under which another project has registered a part of the model."""
    return [
        name
        for key, registry in _PARTS.items()
        if (name := _value(cfg, key)) in registry and not _comes_with_detectron2(registry.get(name))
    ]


def _value(cfg: CfgNode, key: str):
    """What is at a dotted key; None if nothing is."""
    node = cfg
    for name in key.split("."):
        node = node.get(name) if isinstance(node, CfgNode) else None
    return node


def _comes_with_detectron2(part: Callable) -> bool:
    """Whether ``import detectron2.modeling`` registers it; a project inside of Detectron2, as
    PointRend, wants an import of its own.
    """
    return part.__module__.startswith("detectron2.modeling.")
