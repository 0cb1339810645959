"""A tiny distilled student, and what tests ask of its steps."""

import torch
from tiny import batch, build, clone, gradients, step, student_cfg

ALL_TERMS = [(f, c, b) for f in (0, 1) for c in (0, 1) for b in (0, 1)]
SOURCES = ["union", "student", "teacher"]
INSTANCE_GATE = ("MODEL.TADISTILL.FEATURE.GATE", "instance")


def distilled(teacher_files, *opts, weight=1.0):
    model = build(student_cfg(teacher_files, *opts))
    model.distillation_weight = weight
    return model


def train(model, steps, seed=0, batches=None):
    """Losses, gradients and random state of some steps of SGD."""
    torch.manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    trace = []
    for i in range(steps):
        losses = step(model, batches[i] if batches else batch(seed=i), seed=None)
        trace.append((clone(losses), clone(gradients(model)), torch.get_rng_state()))
        optimizer.step()
    return trace


def forbid(monkeypatch, owner, name):
    def forbidden(*args, **kwargs):
        raise AssertionError(f"{name} was called")

    monkeypatch.setattr(owner, name, forbidden)


def count_calls(module):
    calls = []
    module.register_forward_hook(lambda *args: calls.append(1))
    return calls


def check_gradients(model):
    for name, gradient in gradients(model).items():
        assert gradient is not None, name
        assert gradient.isfinite().all(), name
    for parameter in model.teacher.parameters():
        assert parameter.grad is None
        assert not parameter.requires_grad
