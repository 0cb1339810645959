"""Which detections are right."""

import numpy as np

from .overlaps import overlap_areas


def judge_detections(gt_boxes, gt_classes, boxes, scores, classes, iou_threshold=0.5):
    """Which detections are right, and which objects nobody found.

    As in COCO's evaluation, detections choose in the order of their scores: each takes, of the
    ground truth of its class that is still free, the box that it overlaps most, and is right when
    their IoU reaches the threshold. A second detection of the same object is wrong.

    Args:
        gt_boxes (ndarray): (G, 4) XYXY.
        gt_classes (ndarray): (G,).
        boxes (ndarray): (D, 4) XYXY.
        scores (ndarray): (D,).
        classes (ndarray): (D,).
        iou_threshold (float): least IoU of a right detection.

    Returns:
        tuple[ndarray, ndarray]: ``correct`` (D,) bool and ``missed`` (G,) bool.
    """
    gt_boxes = np.asarray(gt_boxes, dtype=np.float64).reshape(-1, 4)
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    gt_classes, classes = np.asarray(gt_classes), np.asarray(classes)
    correct, missed = np.zeros(len(boxes), bool), np.ones(len(gt_boxes), bool)
    if len(gt_boxes) == 0:
        return correct, missed
    iou = pairwise_iou(boxes, gt_boxes)
    for detection in np.argsort(-np.asarray(scores), kind="stable"):
        free = missed & (gt_classes == classes[detection])
        candidates = np.where(free, iou[detection], -1)
        best = candidates.argmax()
        if candidates[best] >= iou_threshold:
            correct[detection], missed[best] = True, False
    return correct, missed


def pairwise_iou(boxes1, boxes2):
    """IoU of XYXY boxes (N, 4) and (M, 4): (N, M)."""
    intersection = overlap_areas(boxes1, boxes2)
    areas1, areas2 = ((b[:, 2:] - b[:, :2]).prod(axis=1) for b in (boxes1, boxes2))
    union = areas1[:, None] + areas2[None, :] - intersection
    return intersection / np.maximum(union, 1e-9)
