"""What opens an exported student: Detectron2 as it is, or what else has to be imported."""

from collections.abc import Callable

from detectron2.config import CfgNode, get_cfg

from ..backbones import TIMM_FPN
from ..building import value_at
from ..parts import REGISTRIES


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
        for key, registry in REGISTRIES.items()
        if (name := value_at(cfg, key)) in registry
        and not _comes_with_detectron2(registry.get(name))
    ]


def _comes_with_detectron2(part: Callable) -> bool:
    """Whether ``import detectron2.modeling`` registers it; a project inside of Detectron2, as
    PointRend, wants an import of its own.
    """
    return part.__module__.startswith("detectron2.modeling.")
