"""What a data set is wanted for, which decides what has to be in it."""

from typing import NamedTuple

from detectron2.config import CfgNode


class Use(NamedTuple):
    """Of a data set, in a training or an evaluation.

    Attributes:
        scored: it is evaluated on; otherwise it is trained on.
        outlines: the form (``INPUT.MASK_FORMAT``) in which a mask head takes each box's outline;
            None without a mask head.
        without_boxes: images without any box are of use too: in a training Detectron2 keeps them
            (``DATALOADER.FILTER_EMPTY_ANNOTATIONS`` is False), in an evaluation detections are
            wanted even if there is nothing to score them by.
    """

    scored: bool
    outlines: str | None = None
    without_boxes: bool = False

    @classmethod
    def in_training(cls, cfg: CfgNode) -> "Use":
        leaves_out = cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS
        if cfg.MODEL.KEYPOINT_ON:  # by their number of keypoints, whatever else is said
            leaves_out |= cfg.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE > 0
        return cls(scored=False, outlines=_outlines(cfg), without_boxes=not leaves_out)

    @classmethod
    def in_test(cls, cfg: CfgNode, without_boxes: bool = False) -> "Use":
        return cls(scored=True, outlines=_outlines(cfg), without_boxes=without_boxes)


def _outlines(cfg: CfgNode) -> str | None:
    return cfg.INPUT.MASK_FORMAT if cfg.MODEL.MASK_ON else None
