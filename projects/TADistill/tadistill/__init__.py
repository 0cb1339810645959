"""Task-adaptive distillation for Detectron2's R-CNN detectors (arXiv:2006.13108).

Importing this package registers the meta-architecture ``TADistillRCNN`` and the backbone
``build_timm_fpn_backbone``. What a project needs from here is three names::

    import tadistill
    tadistill.add_tadistill_config(cfg)               # declares MODEL.TADISTILL.*
    model = detectron2.modeling.build_model(cfg)      # META_ARCHITECTURE: "TADistillRCNN"
    tadistill.DistillationDecayHook(cfg)              # w(t), for the trainer's hooks
"""

try:
    import detectron2  # noqa: F401
except ImportError as e:
    raise ImportError(
        "tadistill extends Detectron2, which this environment does not have. Detectron2 has no "
        "wheels on PyPI: see 'Installation' in README.md for its source build, or for the "
        "pure-Python wheel that projects/TADistill/tools/setup/build_detectron2.py makes."
    ) from e

from .backbones import build_timm_fpn_backbone
from .balance import forget_balance
from .config import add_tadistill_config
from .export import export_student
from .hooks import DistillationDecayHook
from .inheritance import inherit_from_teacher
from .rcnn import TADistillRCNN

__version__ = "0.1.0"

__all__ = [
    "DistillationDecayHook",
    "TADistillRCNN",
    "add_tadistill_config",
    "build_timm_fpn_backbone",
    "export_student",
    "forget_balance",
    "inherit_from_teacher",
]
