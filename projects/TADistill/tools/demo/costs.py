"""What a model costs: parameters, GFLOPs, seconds an iteration and seconds an image.

The seconds are measured in one process, round by round for all models, so that a machine that is
busy for a moment is busy for all of them; medians over the rounds.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from statistics import mean, median

import torch
from detectron2.config import CfgNode
from detectron2.data import build_detection_test_loader, build_detection_train_loader
from detectron2.modeling import build_model
from detectron2.utils.analysis import FlopCountAnalysis
from detectron2.utils.events import EventStorage
from timing.rounds import Clock

from tadistill.checkpoint import TADistillCheckpointer
from tadistill.engine import TADistillTrainer

WARMUP_ROUNDS = 2
ROUNDS = 10
IMAGES = 20
FLOP_IMAGES = 5  # counting takes a second an image


def measure_costs(cfgs: Mapping[str, CfgNode]) -> dict[str, dict[str, float]]:
    """The costs of some models on the first one's data.

    Args:
        cfgs: by name; ``MODEL.WEIGHTS`` are the trained weights.

    Returns:
        By name: ``parameters``, ``gflops`` (a forward pass, mean over 5 val images),
        ``seconds_per_iteration`` (forward, backward and optimizer step, without data loading and
        between two measurements of the balance),
        ``seconds_per_image`` (inference).
    """
    cfg = next(iter(cfgs.values()))
    batches = list(islice(build_detection_train_loader(cfg), WARMUP_ROUNDS + ROUNDS))
    images = list(islice(build_detection_test_loader(cfg, cfg.DATASETS.TEST[0]), IMAGES))
    models = {name: _load(cfg) for name, cfg in cfgs.items()}
    clock = Clock(torch.device(cfg.MODEL.DEVICE))

    steps = {name: _training_step(cfgs[name], model) for name, model in models.items()}
    with EventStorage(start_iter=1):  # as most iterations, not one that BALANCE measures in
        iteration = _interleaved(steps, batches, clock)
    for name, model in models.items():
        TADistillCheckpointer(model).load(cfgs[name].MODEL.WEIGHTS)
        model.eval()
    with torch.no_grad():
        image = _interleaved(models, images, clock)
        gflops = {
            name: mean(_flops(model, inputs) for inputs in images[:FLOP_IMAGES]) / 1e9
            for name, model in models.items()
        }
    return {
        name: {
            "parameters": sum(
                p.numel() for key, p in model.named_parameters() if not key.startswith("adapters.")
            ),
            "gflops": gflops[name],
            "seconds_per_iteration": iteration[name],
            "seconds_per_image": image[name],
        }
        for name, model in models.items()
    }


def _load(cfg: CfgNode) -> torch.nn.Module:
    model = build_model(cfg)
    TADistillCheckpointer(model).load(cfg.MODEL.WEIGHTS)
    return model


def _training_step(cfg: CfgNode, model: torch.nn.Module) -> Callable[[list], None]:
    model.train()
    model.distillation_weight = 1.0
    optimizer = TADistillTrainer.build_optimizer(cfg, model)

    def step(batch: list) -> None:
        loss = sum(model(batch).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _flops(model: torch.nn.Module, inputs: list) -> float:
    flops = FlopCountAnalysis(getattr(model, "student", model), inputs)
    return flops.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()


def _interleaved(calls: Mapping[str, Callable], inputs: list, clock: Clock) -> dict[str, float]:
    """Median seconds of each call, over all inputs but the first few."""
    seconds = {name: [] for name in calls}
    for inputs_of_round in inputs:
        for name, call in calls.items():
            start = clock.now()
            call(inputs_of_round)
            seconds[name].append(clock.now() - start)
    return {name: median(s[WARMUP_ROUNDS:]) for name, s in seconds.items()}
