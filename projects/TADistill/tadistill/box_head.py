"""One interface to any model's box head: "what do you say of these proposals?"

A project with ROI heads of its own registers the two functions for them, of a teacher the first
alone. They must have one ``box_predictor``, a ``FastRCNNOutputLayers`` of Detectron2 or of a class
below it::

    @run_box_head.register(MyROIHeads)
    def _(roi_heads, features, proposals): ...
"""

from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import NamedTuple

from detectron2.modeling.roi_heads import StandardROIHeads
from detectron2.structures import Instances
from torch import Tensor, nn

from .errors import ConfigError
from .parallel import unwrapped


class BoxHeadOutputs(NamedTuple):
    """What a box head says of R proposals of all images.

    Attributes:
        logits: (R, K+1), background last.
        deltas: (R, 4 K), or (R, 4) of a class-agnostic head.
    """

    logits: Tensor
    deltas: Tensor


@singledispatch
def run_box_head(
    roi_heads: nn.Module, features: Mapping[str, Tensor], proposals: Sequence[Instances]
) -> BoxHeadOutputs:
    """Pools ``proposals`` from ``features`` and runs the box head on them, once.

    Args:
        roi_heads: a model's ROI heads.
        features: the same model's feature maps, each (N, C, H, W).
        proposals: N ``Instances`` with ``proposal_boxes``.
    """
    raise _unknown(roi_heads)


@singledispatch
def roi_losses(
    roi_heads: nn.Module,
    features: Mapping[str, Tensor],
    sampled: Sequence[Instances],
    outputs: BoxHeadOutputs,
) -> dict[str, Tensor]:
    """The ROI heads' own training losses, given what their box head has said already.

    Args:
        roi_heads, features: as in :func:`run_box_head`.
        sampled: the labelled and sampled proposals.
        outputs: what :func:`run_box_head` returned for them.
    """
    raise _unknown(roi_heads)


@run_box_head.register(StandardROIHeads)
def _(roi_heads, features, proposals):
    pooled = roi_heads.box_pooler(
        [features[f] for f in roi_heads.box_in_features], [p.proposal_boxes for p in proposals]
    )
    outputs = roi_heads.box_predictor(roi_heads.box_head(pooled))
    if len(outputs) != len(BoxHeadOutputs._fields):
        raise ConfigError(
            f"{type(roi_heads.box_predictor).__name__} has {len(outputs)} outputs, of which "
            "TADistill knows two, logits and deltas: register run_box_head and roi_losses for "
            f"ROI heads of a class of your own below {type(roi_heads).__name__} "
            "(tadistill/box_head.py)"
        )
    return BoxHeadOutputs(*outputs)


@roi_losses.register(StandardROIHeads)
def _(roi_heads, features, sampled, outputs):
    losses = roi_heads.box_predictor.losses(outputs, sampled)
    losses.update(roi_heads._forward_mask(features, sampled))
    losses.update(roi_heads._forward_keypoint(features, sampled))
    return losses


def _unknown(roi_heads: nn.Module) -> TypeError:
    is_wrapped = unwrapped(roi_heads) is not roi_heads
    hint = "; compile the box_head in it instead of all of the ROI heads" if is_wrapped else ""
    return TypeError(f"{type(roi_heads).__name__} has no box branch that TADistill knows{hint}")
