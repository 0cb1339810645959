"""The gates: where the teacher's answer is better than the student's. A tie is not better, and
neither is an answer that is not finite.
"""

from math import isfinite

from .boxes import iou
from .terms import log_softmax, softmax


def logit_gate(z_S, z_T, labels):
    """p_T(y_i) > p_S(y_i), told apart by their logarithms."""
    return [
        finite(row_S, row_T) and log_softmax(row_T)[y] > log_softmax(row_S)[y]
        for row_S, row_T, y in zip(z_S, z_T, labels, strict=True)
    ]


def box_gate(boxes_T, references, gt_boxes):
    """IoU(box_T, b_i) > IoU(reference, b_i)."""
    return [
        finite(box_T, reference, gt) and iou(box_T, gt) > iou(reference, gt)
        for box_T, reference, gt in zip(boxes_T, references, gt_boxes, strict=True)
    ]


def instance_lead(z_S, z_T, labels, foreground, gt_index, num_gt):
    """Of each box: sum p_T(y_i) - sum p_S(y_i) over the foreground proposals matched to it."""
    leads = []
    for box in range(num_gt):
        lead = 0.0
        for i, y in enumerate(labels):
            if foreground[i] and gt_index[i] == box:
                if not finite(z_S[i], z_T[i]):
                    lead = float("nan")
                    continue
                lead += softmax(z_T[i])[y] - softmax(z_S[i])[y]
        leads.append(lead)
    return leads


def finite(*rows):
    """Whether all numbers of all rows are."""
    return all(isfinite(value) for row in rows for value in row)


def share(gate, regions):
    """The share of the regions in which the gate is open; 0 if there are none."""
    answers = [g for g, r in zip(gate, regions, strict=True) if r]
    return sum(answers) / len(answers) if answers else 0.0
