"""From what both models said in a step to the three terms and their gates.

Suffix S: student, T: teacher. The gates decide, the terms measure; both are pure functions that
know nothing of options. This is where an option chooses between them.
"""

from collections.abc import Mapping, Sequence

import torch
from detectron2.modeling.roi_heads import FastRCNNOutputLayers
from detectron2.structures import Instances
from torch import Tensor

from . import gates
from .adapters import Adapters
from .box_coding import class_deltas, encode_boxes
from .box_head import BoxHeadOutputs
from .errors import ConfigError
from .ground_truth import padded_gt_boxes
from .levels import LevelPair
from .normalizers import mask_normalizers
from .options import BoxOptions, DistillationOptions, FeatureOptions, LogitOptions
from .regions import Regions
from .terms import anchor_mask, box_mask, box_term, feature_term, gaussian_masks, logit_term

Term = tuple[Tensor, Tensor | None]  # a loss, and its gate's share of regions


def distillation_losses(
    options: DistillationOptions,
    *,
    levels: Mapping[str, LevelPair],
    adapters: Adapters,
    features_S: Mapping[str, Tensor],
    features_T: Mapping[str, Tensor],
    sampled: Sequence[Instances],
    head_S: BoxHeadOutputs,
    head_T: BoxHeadOutputs | None,
    predictor_S: FastRCNNOutputLayers,
    predictor_T: FastRCNNOutputLayers,
    gt_instances: Sequence[Instances],
    anchors: Mapping[str, Tensor] | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The terms that weigh anything, times their lambda but not w(t), and their gates' shares.

    Computed in float32, whatever autocast does around it. In a distributed training each process
    calls this in each step, since they count ``N_l`` together: see :mod:`tadistill.normalizers`.

    Args:
        options: weights, gates and forms.
        levels: the pairs of levels that the feature term compares, by the student's name.
        adapters: ``A^l``, by the student's name.
        features_S: ``F_S^l``, by the student's name.
        features_T: ``F_T^l``, by the teacher's name.
        sampled: the proposals that both box heads answered for.
        head_S, head_T: their answers. ``head_T`` may be None if no term and no gate reads it.
        predictor_S, predictor_T: for the box transforms and the class count.
        gt_instances: the batch's ground truth, with ``gt_index``.
        anchors: the anchors of each cell, by the student's name of the level, (H, W, A, 4); for
            the mask "anchor" alone.

    Returns:
        Losses by the names "feature", "logit", "box", and shares by the names of the gates.
    """
    device_type = gt_instances[0].gt_classes.device.type
    with torch.autocast(device_type, enabled=False):
        num_classes = predictor_S.num_classes
        regions = Regions.of(sampled, num_classes)
        terms: dict[str, Term] = {}
        if options.feature.weight > 0:
            keep = None
            if options.feature.gate == "instance":
                keep = _instance_gate(regions, head_S, head_T, gt_instances, num_classes)
            gt_boxes = padded_gt_boxes(gt_instances, keep)
            adapted_S = adapters(features_S)
            terms["feature"] = (
                _feature(options.feature, levels, adapted_S, features_T, gt_boxes, anchors or {}),
                gates.share(keep) if keep is not None else None,
            )
        if options.logit.weight > 0:
            _check_logits(head_S, head_T, num_classes)
            terms["logit"] = _logit(options.logit, regions, head_S, head_T)
        if options.box.weight > 0:
            terms["box"] = _box(options.box, regions, head_S, head_T, predictor_S, predictor_T)
    losses = {name: loss for name, (loss, _) in terms.items()}
    shares = {name: share for name, (_, share) in terms.items() if share is not None}
    return losses, shares


def _check_logits(head_S: BoxHeadOutputs, head_T: BoxHeadOutputs, num_classes: int) -> None:
    student, teacher = head_S.logits.shape[1], head_T.logits.shape[1]
    if student != teacher or student <= num_classes:
        raise ConfigError(
            f"the student's box head gives {student} logits for {num_classes} classes, the "
            f"teacher's {teacher}; what is compared are softmaxes over the classes and the "
            "background behind them: set MODEL.TADISTILL.LOGIT.WEIGHT to 0.0 and FEATURE.GATE to "
            "'none'"
        )


def _instance_gate(
    regions: Regions,
    head_S: BoxHeadOutputs,
    head_T: BoxHeadOutputs,
    gt_instances: Sequence[Instances],
    num_classes: int,
) -> Tensor:
    if regions.gt_index is None:
        raise ConfigError(
            "MODEL.TADISTILL.FEATURE.GATE is 'instance', but the student's ROI heads do not copy "
            "the ground truth's field gt_index to the proposals that they sample, as Detectron2's "
            "label_and_sample_proposals copies all gt_* fields; copy it, or set the gate to 'none'"
        )
    _check_logits(head_S, head_T, num_classes)
    return gates.instance_gate(
        head_S.logits,
        head_T.logits,
        regions.gt_classes,
        regions.foreground,
        regions.gt_index,
        num_gt=sum(len(gt) for gt in gt_instances),
    )


def _feature(
    options: FeatureOptions,
    levels: Mapping[str, LevelPair],
    adapted_S: Mapping[str, Tensor],
    features_T: Mapping[str, Tensor],
    gt_boxes: Tensor,
    anchors: Mapping[str, Tensor],
) -> Tensor:
    pairs = [
        _common_area(adapted_S[name], features_T[pair.teacher_name])
        for name, pair in levels.items()
    ]
    maps_S, maps_T = zip(*pairs, strict=True)
    sizes = [map_S.shape[-2:] for map_S in maps_S]
    strides = [pair.student.stride for pair in levels.values()]
    masks = _masks(options, gt_boxes, sizes, strides, [anchors.get(name) for name in levels])
    return options.weight * feature_term(maps_S, maps_T, masks, mask_normalizers(masks))


def _masks(
    options: FeatureOptions,
    gt_boxes: Tensor,
    sizes: Sequence[torch.Size],
    strides: Sequence[int],
    anchors: Sequence[Tensor | None],
) -> list[Tensor]:
    if options.mask == "gaussian":
        return gaussian_masks(gt_boxes, sizes, strides, options.sigma)
    if options.mask == "box":
        return [box_mask(gt_boxes, *level) for level in zip(sizes, strides, strict=True)]
    if options.mask == "anchor":
        within = [
            level[:height, :width] for level, (height, width) in zip(anchors, sizes, strict=True)
        ]
        return [anchor_mask(gt_boxes, level) for level in within]
    return [gt_boxes.new_ones(len(gt_boxes), *size, dtype=torch.float32) for size in sizes]


def _logit(
    options: LogitOptions, regions: Regions, head_S: BoxHeadOutputs, head_T: BoxHeadOutputs
) -> Term:
    in_region = regions.foreground if options.region == "foreground" else regions.labelled
    gate, share = in_region, None
    if options.gate == "student":
        gate = in_region & gates.logit_gate(head_S.logits, head_T.logits, regions.gt_classes)
        share = gates.share(gate, in_region)
    term = logit_term(head_S.logits, head_T.logits, gate, options.temperature, options.loss)
    return options.weight * term, share


def _box(
    options: BoxOptions,
    regions: Regions,
    head_S: BoxHeadOutputs,
    head_T: BoxHeadOutputs,
    predictor_S: FastRCNNOutputLayers,
    predictor_T: FastRCNNOutputLayers,
) -> Term:
    num_classes = predictor_S.num_classes
    deltas_S = class_deltas(head_S.deltas, regions.gt_classes, num_classes)
    deltas_T = class_deltas(head_T.deltas, regions.gt_classes, num_classes)
    boxes_T = predictor_T.box2box_transform.apply_deltas(deltas_T, regions.proposals)

    gate, share = regions.foreground, None
    if options.gate != "none":
        reference = regions.proposals
        if options.gate == "student":
            reference = predictor_S.box2box_transform.apply_deltas(
                deltas_S.detach(), regions.proposals
            )
        gate = gate & gates.box_gate(boxes_T, reference, regions.gt_boxes)
        share = gates.share(gate, regions.foreground)
    target = encode_boxes(boxes_T, regions.proposals, predictor_S.box2box_transform.weights)
    term = box_term(deltas_S, target, gate, predictor_S.smooth_l1_beta)
    return options.weight * term, share


def _common_area(map_S: Tensor, map_T: Tensor) -> tuple[Tensor, Tensor]:
    """Both maps cut to the cells that both have: they start at the same corner with the same
    stride, but backbones with other size divisibilities are padded to other sizes. Ground truth
    lies in the image, hence in the part that stays.
    """
    height = min(map_S.shape[-2], map_T.shape[-2])
    width = min(map_S.shape[-1], map_T.shape[-1])
    return map_S[..., :height, :width], map_T[..., :height, :width]
