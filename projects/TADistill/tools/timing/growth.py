"""The section "growth": how what we add to a step grows with the size of the images, the boxes in
them, the proposals, the levels and the batch. All but one stay as they are each time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from detectron2.config import CfgNode

from tadistill.merging import merge_opts

from .pair import Pair, Shape, build_pair
from .parts import BACKWARD, OURS, measure_parts, ours
from .rounds import Clock, run_rounds
from .sides import teacher_side, training_side
from .summary import difference, exponent
from .variants import Variant

BASE = Shape(images=2, side=256, boxes=8)
EVERY_TERM = Variant("every term")


@dataclass(frozen=True)
class Axis:
    """
    Attributes:
        name: what grows.
        sizes: of it.
        shape: a size to the batch's shape.
        opts: a size to config keys and values; ``TEACHER`` in front of a key means the teacher's.
        linear: whether more than linear growth would be a fault: in what is counted, not measured
            in pixels a side.
    """

    name: str
    sizes: Sequence[int]
    shape: Callable[[int], Shape] = field(default=lambda size: BASE)
    opts: Callable[[int, CfgNode], dict] = field(default=lambda size, cfg: {})
    linear: bool = True


def _proposals(count: int, cfg: CfgNode) -> dict:
    rpn = "MODEL.RPN."
    return {
        f"{rpn}PRE_NMS_TOPK_TRAIN": 2 * count,
        f"{rpn}POST_NMS_TOPK_TRAIN": count,
        f"TEACHER {rpn}PRE_NMS_TOPK_TEST": 2 * count,
        f"TEACHER {rpn}POST_NMS_TOPK_TEST": count,
    }


def _sampled(count: int, cfg: CfgNode) -> dict:
    # As many proposals as it takes to sample them.
    return {**_proposals(2000, cfg), "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": count}


def _levels(count: int, cfg: CfgNode) -> dict:
    return {"MODEL.TADISTILL.FEATURE.LEVELS": list(cfg.MODEL.RPN.IN_FEATURES[:count])}


AXES = (
    Axis(
        "image side",
        (128, 192, 256, 384, 512),
        shape=lambda side: replace(BASE, side=side),
        linear=False,
    ),
    Axis(
        "boxes an image",
        (1, 5, 10, 20, 50, 100, 200, 500),
        shape=lambda boxes: replace(BASE, boxes=boxes),
    ),
    Axis("proposals an image", (128, 256, 512, 1000, 2000), opts=_proposals),
    Axis("sampled proposals an image", (128, 256, 512, 1000, 2000), opts=_sampled),
    Axis("levels", (1, 2, 3, 4, 5), opts=_levels),
    Axis("images", (1, 2, 4, 8), shape=lambda images: replace(BASE, images=images)),
)


def measure_growth(
    cfg: CfgNode, rounds: int, clock: Clock, work: Path, axes: Sequence[Axis] = AXES
) -> dict:
    """By axis: the sizes, seconds of each part at each of them, and the exponents of their growth.

    Args:
        cfg: of a distilled training; its sizes are the ones that stay.
        rounds: at each size.
        clock: what it is measured with.
        work: a folder for random weights.
        axes: what grows.
    """
    return {axis.name: _measure_axis(cfg, axis, rounds, clock, work) for axis in axes}


def _measure_axis(cfg: CfgNode, axis: Axis, rounds: int, clock: Clock, work: Path) -> dict:
    points = []
    for size in axis.sizes:
        pair = build_pair(_with_opts(cfg, axis.opts(size, cfg)), axis.shape(size), work)
        points.append({"size": size, **_measure_point(pair, rounds, clock)})
    return {
        "linear": axis.linear,
        "points": points,
        "exponents": exponents(points),
    }


def _with_opts(cfg: CfgNode, opts: dict) -> CfgNode:
    cfg = cfg.clone()
    own = {key: value for key, value in opts.items() if not key.startswith("TEACHER ")}
    teachers = {key.split()[1]: v for key, v in opts.items() if key not in own}
    merge_opts(cfg, [part for item in own.items() for part in item], "growth")
    cfg.MODEL.TADISTILL.TEACHER.OPTS += [part for item in teachers.items() for part in item]
    return cfg


def _measure_point(pair: Pair, rounds: int, clock: Clock) -> dict:
    model = pair.distilled(EVERY_TERM)
    sides = {
        "a": training_side(pair.cfg, pair.student, pair.batch),
        "b": teacher_side(pair),
        "c": training_side(pair.cfg, model, pair.batch),
    }
    seconds = {name: s["total"] for name, s in run_rounds(sides, rounds, clock, 1).items()}
    parts = measure_parts(pair.cfg, model, pair.batch, clock, rounds)
    return {
        "c - (a + b)": difference([seconds["c"]], [seconds["a"], seconds["b"]]),
        "parts": {name: float(f"{value:.4g}") for name, value in parts.items()},
        "ours": float(f"{ours(parts):.4g}"),
        "sampled": sum(map(len, pair.sampled)),
        "shared": pair.shared,
    }


def exponents(points: Sequence[dict]) -> dict[str, float]:
    """``k`` of ``seconds ~ size^k`` for each of our parts and for all of them, over the larger half
    of the sizes: at the smaller ones the number of calls decides.
    """
    larger = points[(len(points) - 1) // 2 :]
    sizes = [point["size"] for point in larger]
    result = {}
    for part in (*OURS, *BACKWARD):
        seconds = [point["parts"].get(part, 0.0) for point in larger]
        if all(s > 0 for s in seconds):
            result[part] = exponent(sizes, seconds)
    result["ours"] = exponent(sizes, [point["ours"] for point in larger])
    return result
