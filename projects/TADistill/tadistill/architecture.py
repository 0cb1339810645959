"""Whether a config is that of a distillation, and what a project's class below ours is for."""

from detectron2.config import CfgNode
from detectron2.modeling import META_ARCH_REGISTRY

# What makes detections of images, which a GeneralizedRCNN in the class's place does in its own way.
_OF_INFERENCE = ("inference", "preprocess_image", "_postprocess")


def is_distilled(cfg: CfgNode) -> bool:
    """Whether ``MODEL.META_ARCHITECTURE`` is ``TADistillRCNN``, or a project's class below it."""
    name = cfg.MODEL.META_ARCHITECTURE
    model = META_ARCH_REGISTRY.get(name) if name in META_ARCH_REGISTRY else None
    return isinstance(model, type) and issubclass(model, _ours())


def own_inference(model: type) -> list[str]:
    """The methods by which a class below ``TADistillRCNN`` detects otherwise than that does, so
    that a plain ``GeneralizedRCNN`` with its weights is another detector.
    """
    if not issubclass(model, _ours()):
        return []
    return [m for m in _OF_INFERENCE if getattr(model, m) is not getattr(_ours(), m)]


def _ours() -> type:
    """By its name: the class itself builds a teacher, whose config is asked for all this."""
    return META_ARCH_REGISTRY.get("TADistillRCNN")
