"""What the parts of a distilled step take, in passes of their own: watching a function costs time
too, and on a GPU it waits for it.

The forward parts are timed inside real steps, each without what it calls of the others. Backward,
autograd's engine runs all as one; there the terms' share is timed on copies of their inputs, from
the losses back to the student's feature maps and head outputs.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from importlib import import_module
from statistics import median
from unittest import mock

import torch
from detectron2.config import CfgNode
from torch import nn

from .rounds import Clock, Stopwatch
from .sides import training_side

# Part: the functions that are it, as "module:name" seen from the place that calls them.
FUNCTIONS = {
    "teacher": [
        "tadistill.teacher.frozen:FrozenTeacher.images",
        "tadistill.teacher.frozen:FrozenTeacher.features",
        "tadistill.teacher.frozen:FrozenTeacher.proposals",
        "tadistill.teacher.frozen:FrozenTeacher.box_head",
    ],
    "sharing": ["tadistill.rcnn:share_proposals"],
    "sampling": ["tadistill.rcnn:label_and_sample"],
    "mask": [
        "tadistill.distillation:gaussian_masks",
        "tadistill.distillation:box_mask",
        "tadistill.distillation:anchor_mask",
        "tadistill.distillation:mask_normalizers",
    ],
    "adapters": ["tadistill.adapters:Adapters.forward"],
    "terms": [
        "tadistill.distillation:feature_term",
        "tadistill.distillation:logit_term",
        "tadistill.distillation:box_term",
    ],
    "gates": [
        "tadistill.gates:logit_gate",
        "tadistill.gates:box_gate",
        "tadistill.gates:instance_gate",
        "tadistill.gates:share",
    ],
    # What distillation_losses and the step do besides: targets, regions, ground truth.
    "rest of ours": [
        "tadistill.rcnn:distillation_losses",
        "tadistill.rcnn:with_gt_index",
        "tadistill.rcnn:HostScalars",
    ],
}
# What the distillation adds to the student's step and the teacher's inference. Sampling is a part
# of the stock step as well.
OURS = ("sharing", "mask", "adapters", "terms", "gates", "rest of ours")
BACKWARD = {"terms backward": "terms", "adapters backward": "adapters"}


def measure_parts(
    cfg: CfgNode, model: nn.Module, batch: list[dict], clock: Clock, rounds: int
) -> dict[str, float]:
    """Median seconds of each part of a distilled step, "step" for all of it.

    Args:
        cfg: the student's config.
        model: a distilled model in train mode.
        batch: for the step.
        clock: what it is measured with.
        rounds: steps that are watched, after one that is not.
    """
    step = training_side(cfg, model, batch)
    seconds: dict[str, list[float]] = {}
    for number in range(-1, rounds):
        torch.manual_seed(number + 1)
        watch = Stopwatch(clock)
        watch.start()
        with watched(clock) as (forward, captured):
            step(watch)
        total = watch.stop()["total"]
        if number >= 0:
            measured = {**forward, **_backward(captured, clock), "step": total}
            for part, value in measured.items():
                seconds.setdefault(part, []).append(value)
    return {part: median(values) for part, values in seconds.items()}


@contextmanager
def watched(clock: Clock) -> Iterator[tuple[dict[str, float], dict]]:
    """While it is open, gathers the seconds of each part's functions without those of other parts
    in them, and the arguments of ``distillation_losses``.
    """
    seconds = dict.fromkeys(FUNCTIONS, 0.0)
    captured: dict = {}
    inner: list[float] = []  # of each watched call that is under way, seconds in watched calls

    def wrap(function: Callable, part: str) -> Callable:
        @wraps(function)
        def timed(*args, **kwargs):
            if function.__name__ == "distillation_losses":
                captured.update(function=function, args=args, kwargs=kwargs)
            inner.append(0.0)
            start = clock.now()
            try:
                return function(*args, **kwargs)
            finally:
                elapsed = clock.now() - start
                seconds[part] += elapsed - inner.pop()
                if inner:
                    inner[-1] += elapsed

        return timed

    with ExitStack() as patches:
        for part, paths in FUNCTIONS.items():
            for path in paths:
                owner, name = _resolve(path)
                original = getattr(owner, name)
                patches.enter_context(mock.patch.object(owner, name, wrap(original, part)))
        yield seconds, captured


def _resolve(path: str) -> tuple[object, str]:
    module, names = path.split(":")
    *owners, name = names.split(".")
    owner = import_module(module)
    for attribute in owners:
        owner = getattr(owner, attribute)
    return owner, name


def _backward(captured: dict, clock: Clock) -> dict[str, float]:
    """Seconds from the terms back to the student's feature maps and head outputs, the adapters'
    convolutions apart.
    """
    if not captured:
        return {}
    kwargs = dict(captured["kwargs"])
    features = {name: _leaf(map_) for name, map_ in kwargs["features_S"].items()}
    head = type(kwargs["head_S"])(*map(_leaf, kwargs["head_S"]))
    adapters = kwargs["adapters"]
    losses, _ = captured["function"](
        *captured["args"], **{**kwargs, "features_S": features, "head_S": head}
    )
    leaves = [*features.values(), *head, *adapters.parameters()]
    all_of_it = _gradient_seconds(sum(losses.values()), None, leaves, clock) if losses else 0.0

    adapted = adapters(features)
    convolutions = 0.0
    if adapted and "feature" in losses:
        outputs = list(adapted.values())
        gradients = [torch.rand_like(map_) for map_ in outputs]
        convolutions = _gradient_seconds(outputs, gradients, leaves, clock)
    return {
        "terms backward": max(all_of_it - convolutions, 0.0),
        "adapters backward": convolutions,
    }


def _leaf(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().requires_grad_()


def _gradient_seconds(outputs, gradients, leaves, clock: Clock) -> float:
    start = clock.now()
    torch.autograd.grad(outputs, leaves, gradients, allow_unused=True)
    return clock.now() - start


def ours(parts: dict[str, float], without: tuple[str, ...] = ()) -> float:
    """Seconds of all that distillation adds, forward and backward.

    Args:
        parts: from :func:`measure_parts`.
        without: parts to leave out, "adapters" for one.
    """
    names = [*OURS, *(name for name, part in BACKWARD.items() if part not in without)]
    return sum(parts.get(name, 0.0) for name in names if name not in without)
