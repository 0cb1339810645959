"""What runs in each of several processes: functions that they can import by name.

answers = in_processes(steps_of_each_scenario, tmp_path, teacher_files, combinations)
"""

import dataclasses
import functools
import os
import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch
from detectron2.structures import Instances
from detectron2.utils import comm
from detectron2.utils.events import EventStorage
from tiny import TeacherFiles, batch, build, clone, gradients, liven, student_cfg, term_weights
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from tadistill import export_student
from tadistill.box_head import BoxHeadOutputs
from tadistill.engine import argument_parser, claim_run_directory, launch
from tadistill.errors import ConfigError
from tadistill.normalizers import mask_normalizers

TERMS = ("feature", "logit", "box")


def in_processes(function, directory: Path, *arguments, timeout: float = 300) -> list:
    """What ``function(*arguments)`` returns in each of two processes on the CPU."""
    args = argument_parser().parse_args(
        ["--num-gpus", "2", "--dist-url", "auto", "--dist-timeout", str(timeout)]
    )
    main = functools.partial(_keep_answer, function, directory, arguments)
    launch(main, student_cfg(None), args)
    return [torch.load(directory / f"answer_{rank}.pt", weights_only=False) for rank in range(2)]


def _keep_answer(function, directory, arguments, args):
    torch.save(function(*arguments), directory / f"answer_{comm.get_rank()}.pt")


@dataclass(frozen=True)
class Scenario:
    """A batch of four images, of which each of two processes has two.

    Attributes:
        counts: how many ground-truth boxes each image has.
        widths: of the images. In those of ``MISLEADING`` the teacher is wrong about everything.
        weight: w(t).
    """

    counts: tuple[int, ...] = (2, 5, 4, 6)
    widths: tuple[int, ...] = (96, 96, 96, 96)
    weight: float = 1.0

    def images(self) -> list[dict]:
        return batch(self.counts, [(64, width) for width in self.widths])

    def share(self, rank: int) -> list[dict]:
        return self.images()[2 * rank : 2 * rank + 2]


MISLEADING = 95  # padded to 96, as the others are in a batch of two and in one of four

SCENARIOS = {
    "an ordinary batch": Scenario(),
    "an image without ground truth": Scenario(counts=(2, 5, 0, 6)),
    "a process without ground truth": Scenario(counts=(2, 5, 0, 0)),
    "w is zero": Scenario(weight=0.0),
    "a process whose gates are all closed": Scenario(widths=(96, 96, MISLEADING, MISLEADING)),
}


@dataclass(frozen=True)
class Step:
    """What a training step left behind.

    Attributes:
        losses: by name.
        gradients: each parameter's, by name.
        proposals: how many were sampled in all images.
        scales: s_x of the terms, where they are measured.
    """

    losses: dict[str, float]
    gradients: dict[str, torch.Tensor]
    proposals: int
    scales: Sequence[float] = ()


def distilled(teacher_files: TeacherFiles, weights: Iterable[float], *opts) -> nn.Module:
    """A student that answers for each image as if it were alone: BatchNorm is frozen, as in most of
    Detectron2's recipes. All three terms have their gate.
    """
    model = build(
        student_cfg(
            teacher_files,
            *("MODEL.RESNETS.NORM", "FrozenBN", "MODEL.TADISTILL.FEATURE.GATE", "instance"),
            *term_weights(*weights),
            *opts,
        )
    )
    answer = model._teacher.box_head
    model._teacher.box_head = lambda features, sampled: _misled(answer(features, sampled), sampled)
    return liven(model)


def _misled(head_T: BoxHeadOutputs, sampled: Sequence[Instances]) -> BoxHeadOutputs:
    wrong = torch.cat([torch.full((len(s),), s.image_size[1] == MISLEADING) for s in sampled])
    labels = torch.cat([s.gt_classes for s in sampled])
    logits, deltas = head_T.logits.clone(), head_T.deltas.clone()
    logits[wrong, labels[wrong]] = -50.0
    deltas[wrong] = 50.0  # five widths away
    return BoxHeadOutputs(logits, deltas)


def train_step(
    model: nn.Module, images: list[dict], weight: float = 1.0, share=lambda name: 1.0
) -> Step:
    """One training step of a model, in a DistributedDataParallel or not.

    Args:
        model: its gradients are added to those that it has.
        images: the batch, or this process's share of it.
        weight: w(t).
        share: how much of a loss, by its name, is trained on.
    """
    bare = model.module if isinstance(model, DistributedDataParallel) else model
    bare.distillation_weight = weight
    # The first proposals instead of random ones: an image's do not depend on the others then.
    with mock.patch("torch.randperm", torch.arange), EventStorage() as storage:
        losses = model(images)
    sum(share(name) * loss for name, loss in losses.items()).backward()
    sampled = sum(storage.latest()[f"roi_head/num_{kind}_samples"][0] for kind in ("fg", "bg"))
    return Step(
        losses={name: loss.item() for name, loss in losses.items()},
        gradients=clone(gradients(bare)),
        proposals=round(sampled * len(images)),
    )


def in_ddp(model: nn.Module) -> DistributedDataParallel:
    """As Detectron2 does it: in particular without ``find_unused_parameters``."""
    return DistributedDataParallel(model, broadcast_buffers=False)


BALANCE = ("MODEL.TADISTILL.BALANCE.ENABLED", True)
# Every proposal is sampled, so that the processes have other numbers of them.
ALL_PROPOSALS = ("MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE", 10_000)


def everything(teacher_files: TeacherFiles, combinations, run_dir: Path) -> dict:
    """All that two processes are asked in one session, since each takes seconds to start."""
    return {
        "steps": steps_of_each_scenario(teacher_files, combinations),
        "uneven": _uneven_step(teacher_files),
        "balanced": balanced_steps(
            teacher_files, lambda name: SCENARIOS[name].share(comm.get_rank())
        ),
        "normalizers": mask_normalizers(masks_of(comm.get_rank())),
        "validated": validation_losses(teacher_files, comm.get_rank()),
        "exported": export_student(
            distilled(teacher_files, (1, 1, 1)), student_cfg(teacher_files), str(run_dir)
        ),
        "exchanged": _exchanged(),
        "claims": [_claim(run_dir, resume) for resume in (False, True)],
    }


def steps_of_each_scenario(teacher_files, combinations) -> dict:
    steps = {}
    for weights in combinations:
        model = in_ddp(distilled(teacher_files, weights))
        for name, scenario in SCENARIOS.items():
            model.zero_grad()
            share = scenario.share(comm.get_rank())
            steps[weights, name] = train_step(model, share, scenario.weight)
    return steps


def _uneven_step(teacher_files) -> Step:
    model = in_ddp(distilled(teacher_files, (1, 1, 1), *ALL_PROPOSALS))
    return train_step(model, Scenario().share(comm.get_rank()))


# One after the other, so that the average over measurements shows too.
BALANCED = (
    "a process whose gates are all closed",
    "a process without ground truth",
    "an ordinary batch",
)


def balanced_steps(teacher_files, images_of) -> list[Step]:
    """Steps of a model that measures its scales in each."""
    model = distilled(teacher_files, (1, 1, 1), *BALANCE)
    trained = in_ddp(model) if comm.get_world_size() > 1 else model
    steps = []
    for name in BALANCED:
        model.zero_grad()
        step = train_step(trained, images_of(name))
        steps.append(dataclasses.replace(step, scales=model.balance.scales.tolist()))
    return steps


def validation_losses(teacher_files, rank: int) -> list[dict[str, float]]:
    """Of two batches in the first process and one in the second, as a sampler divides what cannot
    be divided evenly: nothing in them may wait for the other process.
    """
    model = distilled(teacher_files, (1, 1, 1))
    model.distillation_weight = 1.0
    losses = []
    for _ in range(2 - rank):
        # The first proposals instead of random ones, which differ from process to process.
        with mock.patch("torch.randperm", torch.arange), EventStorage(), torch.no_grad():
            found = model(Scenario().share(rank))
        losses.append({name: loss.item() for name, loss in found.items()})
    return losses


def masks_of(rank: int) -> list[torch.Tensor]:
    """Masks of three levels: with much in them, with next to nothing, with nothing."""
    generator = torch.Generator().manual_seed(rank)
    levels = [torch.rand(2, size, size, generator=generator) for size in (9, 4, 2)]
    return [mask * scale for mask, scale in zip(levels, (1.0 + rank, 0.01, 0.0), strict=True)]


def _exchanged() -> dict:
    """What Detectron2's trainer, sampler and evaluator ask of the others."""
    rank = comm.get_rank()
    return {
        "ranks": (rank, comm.get_world_size(), comm.get_local_rank(), comm.get_local_size()),
        "all_gather": comm.all_gather({"of": "x" * rank}),
        "gather": comm.gather([rank] * (rank + 1)),
        "seed": comm.shared_random_seed(),
        "threads": torch.get_num_threads(),
    }


def _claim(run_dir: Path, resume: bool) -> str | None:
    try:
        claim_run_directory(student_cfg(None, "OUTPUT_DIR", str(run_dir)), resume)
    except ConfigError as error:
        return str(error)
    return None


def wait_for_one_that_hangs_and_then_dies(directory: Path) -> None:
    """The first process writes down how long it waited for the second one, which then kills itself;
    the first would go on for ever.
    """
    waited = directory / "waited"
    if comm.get_rank() == 0:
        start = time.monotonic()
        try:
            comm.synchronize()
        except RuntimeError as error:
            waited.write_text(f"{time.monotonic() - start} {error}")
        time.sleep(3600)
    while not waited.exists():
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGKILL)
