"""L_cls: the student's class distribution follows the teacher's where that is the better one."""

import torch
from torch import Tensor
from torch.nn import functional as F


def logit_term(
    student_logits: Tensor,
    teacher_logits: Tensor,
    gate: Tensor,
    temperature: float = 1.0,
    loss: str = "kl",
) -> Tensor:
    """``L_cls = tau^2 / N sum_i g_i D( softmax(z_T,i / tau) || softmax(z_S,i / tau) )``

    Args:
        student_logits, teacher_logits: ``z_S``, ``z_T``: (R, K+1), for the same proposals.
        gate: ``g``: (R,) bool, already zero outside the region that is summed over.
        temperature: ``tau``.
        loss: ``D``: "kl", the Kullback-Leibler divergence, or "bce", the binary cross entropies
            of all K+1 probabilities.

    Returns:
        A scalar, float32, normalised by all R proposals as Detectron2's ``loss_cls`` is: in a
        distributed training by those of this process (why: :mod:`tadistill.normalizers`). With no
        gate open it is 0, with a graph. Finite if the logits of all open rows are (and of a size
        that float32 can divide by tau): behind a closed gate no number, NaN and infinity included,
        reaches the sum or the gradient; behind an open one, NaN gives NaN.
    """
    divergence = {"kl": _kl, "bce": _bce}[loss]
    # Behind a closed gate both say nothing: 0 * NaN would be NaN.
    student = torch.where(gate[:, None], student_logits.float() / temperature, 0)
    teacher = torch.where(gate[:, None], teacher_logits.float() / temperature, 0).detach()
    return temperature**2 * (gate * divergence(student, teacher)).sum() / max(len(gate), 1)


def _kl(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """(R,): KL( softmax(z_T) || softmax(z_S) )."""
    return F.kl_div(
        F.log_softmax(student_logits, dim=-1),
        F.log_softmax(teacher_logits, dim=-1),
        reduction="none",
        log_target=True,
    ).sum(dim=-1)


def _bce(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """(R,): the sum over classes of ``-p_T log p_S - (1 - p_T) log(1 - p_S)``."""
    teacher = F.softmax(teacher_logits, dim=-1)
    log_p = F.log_softmax(student_logits, dim=-1)
    log_not_p = _log_one_minus_softmax(student_logits)
    return -(teacher * log_p + (1 - teacher) * log_not_p).sum(dim=-1)


def _log_one_minus_softmax(logits: Tensor) -> Tensor:
    """``log(1 - p)`` of each class. Where p is the largest it can round to 1: there 1 - p is taken
    as the sum of the others, which keeps value and gradient exact.
    """
    top = logits.argmax(dim=-1, keepdim=True)
    others = logits.scatter(-1, top, -torch.inf).logsumexp(dim=-1, keepdim=True)
    p = F.softmax(logits, dim=-1).scatter(-1, top, 0.0)
    log_total = logits.logsumexp(dim=-1, keepdim=True)
    return torch.log1p(-p).scatter(-1, top, others - log_total)
