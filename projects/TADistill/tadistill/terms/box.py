"""L_box: the student's boxes follow the teacher's where those are the better ones."""

import torch
from fvcore.nn import smooth_l1_loss
from torch import Tensor


def box_term(student_deltas: Tensor, target_deltas: Tensor, gate: Tensor, beta: float) -> Tensor:
    """``L_box = 1 / N sum_i g_i smooth_l1( delta_S,i - encode_S(proposal_i, box_T,i) )``

    Args:
        student_deltas: ``delta_S``: (R, 4), for class ``y_i``.
        target_deltas: (R, 4), the teacher's decoded boxes in the student's encoding; see
            :func:`tadistill.box_coding.encode_boxes`.
        gate: ``g``: (R,) bool, False for background.
        beta: where smooth L1 turns from L2 to L1, in units of deltas; 0 is L1, as in Detectron2.

    Returns:
        A scalar, float32, normalised by all R proposals as Detectron2's ``loss_box_reg`` is: in a
        distributed training by those of this process (why: :mod:`tadistill.normalizers`). With no
        gate open it is 0, with a graph. Behind a closed gate no number, NaN and infinity included,
        reaches the sum or the gradient; behind an open one, NaN gives NaN.
    """
    difference = student_deltas.float() - target_deltas.float().detach()
    # g_i goes inside smooth_l1, where 0 stays 0: outside, 0 * NaN would be NaN.
    difference = torch.where(gate[:, None], difference, 0)
    zero = torch.zeros_like(difference)
    return smooth_l1_loss(difference, zero, beta, reduction="sum") / max(len(gate), 1)
