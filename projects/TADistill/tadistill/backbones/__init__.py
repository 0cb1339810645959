"""Backbones that Detectron2 does not have. Importing this registers them."""

from .timm_fpn import TIMM_FPN, TimmBackbone, build_timm_fpn_backbone, without_timm_weights
from .timm_weights import check_timm_weights

__all__ = [
    "TIMM_FPN",
    "TimmBackbone",
    "build_timm_fpn_backbone",
    "check_timm_weights",
    "without_timm_weights",
]
