"""Whether a config is that of a distillation."""

from detectron2.config import CfgNode
from detectron2.modeling import META_ARCH_REGISTRY


def is_distilled(cfg: CfgNode) -> bool:
    """Whether ``MODEL.META_ARCHITECTURE`` is ``TADistillRCNN``, or a project's class below it."""
    from .rcnn import TADistillRCNN  # which builds a teacher, whose config is asked this, too

    name = cfg.MODEL.META_ARCHITECTURE
    model = META_ARCH_REGISTRY.get(name) if name in META_ARCH_REGISTRY else None
    return isinstance(model, type) and issubclass(model, TADistillRCNN)
