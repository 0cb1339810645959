"""The section "deployed": what the student saves, once it has been trained."""

import torch
from torch import nn

from .batches import synthetic_batch
from .pair import Pair
from .rounds import Clock, Side, Stopwatch, run_rounds
from .summary import quartiles, ratio


def measure_deployed(pair: Pair, rounds: int, clock: Clock) -> dict:
    """Images a second of teacher and student through stock Detectron2 inference, one image at a
    time, at ``INPUT.MIN_SIZE_TEST``; and how many times faster the student is, round by round.
    """
    side = pair.cfg.INPUT.MIN_SIZE_TEST
    num_classes = pair.cfg.MODEL.ROI_HEADS.NUM_CLASSES
    image = synthetic_batch(1, (side, side), 1, num_classes)
    student = pair.student.eval()
    sides = {"teacher": _inference(pair.teacher, image), "student": _inference(student, image)}
    seconds = {name: s["total"] for name, s in run_rounds(sides, rounds, clock).items()}
    student.train()
    return {
        "side": side,
        "rounds": rounds,
        "weights": pair.weights,
        "parameters": {name: _parameters(getattr(pair, name)) for name in sides},
        "images / s": {
            name: quartiles([1 / s for s in values]) for name, values in seconds.items()
        },
        "teacher / student": ratio([seconds["teacher"]], [seconds["student"]]),
    }


def _inference(model: nn.Module, image: list[dict]) -> Side:
    @torch.no_grad()
    def infer(watch: Stopwatch) -> None:
        model(image)
        watch.mark("inference")

    return infer


def _parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
