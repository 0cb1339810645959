"""A distilled step written plainly, as a first version would be: the same losses, more work.

The mask is laid box by box, the student's head runs once for the detection losses and once more for
the terms, and the teacher's head answers for all proposals, of which the sampled ones are picked.
Written from the formulas in projects/TADistill/README.md with torch and stock Detectron2, for the
default forms of gates and terms.
"""

import torch
from detectron2.structures import Boxes, Instances, pairwise_iou
from torch.nn import functional as F


def naive_losses(model, batch, sigma=2**0.5, duplicate=0.9, lambdas=(1.0, 1.0, 1.0)):
    """The losses of a training step, by the names of ``TADistillRCNN``'s.

    Args:
        model: a ``TADistillRCNN`` in train mode, for its student, adapters and teacher; FPN levels
            of the same names, ``INPUT.FORMAT`` the same.
        batch: as from Detectron2's loader.
        sigma: of the mask.
        duplicate: IoU above which a teacher's proposal is one that the student has.
        lambdas: weights of the feature, logit and box terms.
    """
    teacher = model.teacher
    batch = [{**x, "image": x["image"].to(model.device)} for x in batch]
    gt = [x["instances"].to(model.device) for x in batch]

    images_S = model.preprocess_image(batch)
    features_S = model.backbone(images_S.tensor)
    proposals_S, losses = model.proposal_generator(images_S, features_S, gt)
    with torch.no_grad():
        images_T = teacher.preprocess_image(batch)
        features_T = teacher.backbone(images_T.tensor)
        proposals_T, _ = teacher.proposal_generator(images_T, features_T, None)

    proposals = []
    for s, t in zip(proposals_S, proposals_T, strict=True):
        iou = pairwise_iou(s.proposal_boxes, t.proposal_boxes)
        proposals.append(Instances.cat([s, t[iou.max(dim=0).values <= duplicate]]))
    sampled = model.roi_heads.label_and_sample_proposals(proposals, gt)

    losses.update(model.roi_heads._forward_box(features_S, sampled))
    logits_S, deltas_S = head(model, features_S, sampled)
    with torch.no_grad():
        logits_T, deltas_T = teachers_answers(teacher, features_T, proposals, gt, sampled)

    labels = torch.cat([s.gt_classes for s in sampled])
    feature, logit, box = lambdas
    losses["loss_tad_feature"] = feature * feature_loss(model, features_S, features_T, gt, sigma)
    losses["loss_tad_logit"] = logit * logit_loss(logits_S, logits_T, labels)
    losses["loss_tad_box"] = box * box_loss(model, deltas_S, deltas_T, labels, sampled)
    return losses


def head(model, features, proposals):
    """Logits and deltas of a model's box head."""
    heads = model.roi_heads
    maps = [features[name] for name in heads.box_in_features]
    pooled = heads.box_pooler(maps, [p.proposal_boxes for p in proposals])
    return heads.box_predictor(heads.box_head(pooled))


def teachers_answers(teacher, features_T, proposals, gt, sampled):
    """The teacher's head on all proposals and ground truth, then the sampled rows."""
    everything = []
    for p, g in zip(proposals, gt, strict=True):
        boxes = torch.cat([p.proposal_boxes.tensor, g.gt_boxes.tensor])
        everything.append(Instances(p.image_size, proposal_boxes=Boxes(boxes)))
    logits, deltas = head(teacher, features_T, everything)
    rows, start = [], 0
    for all_of_image, sampled_of_image in zip(everything, sampled, strict=True):
        boxes = all_of_image.proposal_boxes.tensor
        same = (boxes == sampled_of_image.proposal_boxes.tensor[:, None]).all(dim=2)
        rows.append(start + same.int().argmax(dim=1))
        start += len(boxes)
    rows = torch.cat(rows)
    return logits[rows], deltas[rows]


def feature_loss(model, features_S, features_T, gt, sigma):
    """mean over levels of  1 / (2 N_l C) sum M (A(F_S) - F_T)^2,  N_l = max(1, sum M)."""
    losses = []
    for name, adapter in model.adapters.items():
        adapted, target = adapter(features_S[name]), features_T[name]
        stride = model.backbone.output_shape()[name].stride
        images, channels, height, width = target.shape
        mask = target.new_zeros(images, height, width)
        x = ((torch.arange(width, device=target.device) + 0.5) * stride)[None, :]
        y = ((torch.arange(height, device=target.device) + 0.5) * stride)[:, None]
        for n in range(images):
            for x1, y1, x2, y2 in gt[n].gt_boxes.tensor.tolist():
                x0, y0, w, h = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
                bell = torch.exp(
                    -((x - x0) ** 2) / (sigma**2 * (w / 2) ** 2)
                    - (y - y0) ** 2 / (sigma**2 * (h / 2) ** 2)
                )
                inside = (x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)
                mask[n] = torch.maximum(mask[n], bell * inside)
        error = (mask[:, None] * (adapted - target) ** 2).sum()
        losses.append(error / (2 * max(1.0, mask.sum().item()) * channels))
    return sum(losses) / len(losses)


def logit_loss(logits_S, logits_T, labels):
    """1 / N sum_i g_i KL( p_T,i || p_S,i ),  g_i = p_T(y_i) > p_S(y_i)."""
    log_p_S, log_p_T = F.log_softmax(logits_S, dim=1), F.log_softmax(logits_T, dim=1)
    rows = torch.arange(len(labels), device=labels.device)
    gate = log_p_T[rows, labels] > log_p_S[rows, labels]
    divergence = (log_p_T.exp() * (log_p_T - log_p_S)).sum(dim=1)
    return divergence[gate].sum() / max(len(labels), 1)


def box_loss(model, deltas_S, deltas_T, labels, sampled):
    """1 / N sum_i g_i smooth_l1( delta_S,i - encode_S(proposal_i, box_T,i) )."""
    predictor_S, predictor_T = model.roi_heads.box_predictor, model.teacher.roi_heads.box_predictor
    foreground = labels < predictor_S.num_classes
    sampled = [s[s.gt_classes < predictor_S.num_classes] for s in sampled]
    sampled = [s for s in sampled if len(s)]
    if not sampled:
        return 0.0 * deltas_S.sum()
    proposals = torch.cat([s.proposal_boxes.tensor for s in sampled])
    truth = Boxes(torch.cat([s.gt_boxes.tensor for s in sampled]))
    delta_S = of_class(deltas_S[foreground], labels[foreground])
    delta_T = of_class(deltas_T[foreground], labels[foreground])
    box_S = predictor_S.box2box_transform.apply_deltas(delta_S.detach(), proposals)
    box_T = predictor_T.box2box_transform.apply_deltas(delta_T, proposals)
    # All pairs, of which the diagonal is wanted.
    iou_S = pairwise_iou(Boxes(box_S), truth).diagonal()
    iou_T = pairwise_iou(Boxes(box_T), truth).diagonal()
    gate = iou_T > iou_S
    target = predictor_S.box2box_transform.get_deltas(proposals, box_T)
    beta = predictor_S.smooth_l1_beta
    error = F.smooth_l1_loss(delta_S[gate], target[gate], reduction="sum", beta=beta)
    return error / max(len(labels), 1)


def of_class(deltas, labels):
    """(R, 4) of each region's own class, of a class-specific or class-agnostic head."""
    if deltas.shape[1] == 4:
        return deltas
    rows = torch.arange(len(labels), device=labels.device)
    return deltas.view(len(deltas), -1, 4)[rows, labels]
