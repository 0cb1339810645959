"""The three distillation terms: pure functions of tensors, each beside its formula."""

from .box import box_term
from .feature import feature_term
from .logit import logit_term
from .mask import anchor_mask, box_mask, gaussian_mask, gaussian_masks

__all__ = [
    "anchor_mask",
    "box_mask",
    "box_term",
    "feature_term",
    "gaussian_mask",
    "gaussian_masks",
    "logit_term",
]
