"""The section "step": a, b and c of one pair, the variants of c, their parts and their memory."""

from collections.abc import Callable, Sequence
from functools import partial

import torch

from tadistill.errors import ConfigError
from tadistill.options import DistillationOptions

from .memory import forward_and_backward, kept_for_backward, peak, teacher_bytes
from .pair import Pair
from .parts import measure_parts
from .rounds import Clock, Seconds, Stopwatch, run_rounds
from .sides import data_is_here, loading_side, teacher_side, training_side
from .summary import difference, quartiles, ratio
from .variants import Variant

STUDENT, TEACHER, LOADING = "a: student step", "b: teacher inference", "data"
DETAILED_ROUNDS = 10


def measure_step(
    pair: Pair,
    variants: Sequence[Variant],
    rounds: int,
    clock: Clock,
    progress: Callable[[int], None] = lambda done: None,
) -> dict:
    """All figures of one pair, ready for JSON.

    Args:
        pair: student, teacher and batch.
        variants: the first is c.
        rounds: in which all sides are measured.
        clock: what they are measured with.
        progress: called after each round.

    Raises:
        ConfigError: if the first variant cannot be built.
    """
    models, skipped = {}, {}
    for variant in variants:
        try:
            models[variant] = pair.distilled(variant)
        except ConfigError as e:
            if variant == variants[0]:
                raise
            skipped[variant.name] = str(e)

    sides = {
        STUDENT: training_side(pair.cfg, pair.student, pair.batch),
        TEACHER: teacher_side(pair),
    }
    for variant, model in models.items():
        sides[variant.name] = training_side(pair.cfg, model, pair.batch)
    if data_is_here(pair.cfg):
        sides[LOADING] = loading_side(pair.cfg)
    seconds = run_rounds(sides, rounds, clock, progress=progress)

    c = models[variants[0]]
    result = {
        "batch": describe_batch(pair),
        "weights": pair.weights,
        "rounds": rounds,
        "seconds": {
            side: {phase: quartiles(values) for phase, values in phases.items()}
            for side, phases in seconds.items()
        },
        "variants": {
            variant.name: {
                "opts": list(variant.opts),
                "weight": variant.weight,
                **compare(seconds, variant, _options(pair, variant)),
            }
            for variant in models
        },
        "skipped": skipped,
        "parts": measure_parts(pair.cfg, c, pair.batch, clock, min(rounds, DETAILED_ROUNDS)),
        "memory": measure_memory(pair, c),
        "totals": {  # round by round
            side: [float(f"{s:.5g}") for s in phases["total"]] for side, phases in seconds.items()
        },
    }
    return result


def _options(pair: Pair, variant: Variant) -> DistillationOptions | None:
    """None for a variant that does without a teacher."""
    cfg = pair.variant_cfg(variant)
    if not cfg.MODEL.TADISTILL.ENABLED or variant.weight == 0:
        return None
    return DistillationOptions.from_cfg(cfg)


def compare(seconds: Seconds, variant: Variant, options: DistillationOptions | None) -> dict:
    """``c / (a + b)``, ``c / a`` and ``c - (a + b)`` of a variant, with as much of b in it as the
    variant's terms need.
    """
    a, b, c = seconds[STUDENT]["total"], seconds[TEACHER], seconds[variant.name]["total"]
    needed = []
    if options is not None and options.needs_teacher:
        needed.append("backbone")
        if options.needs_teacher_proposals:
            needed.append("rpn")
        if options.needs_teacher_head:
            needed.append("box_head")
    floor = [a, *(b[part] for part in needed)]
    return {
        "b": needed,
        "c / (a + b)": ratio([c], floor),
        "c / a": ratio([c], [a]),
        "c - (a + b)": difference([c], floor),
    }


def measure_memory(pair: Pair, model: torch.nn.Module) -> dict:
    """Bytes of a, b and c, and whether c stays within what the teacher must bring with it: weights,
    feature maps and head outputs. "kept" is held from the forward to the backward pass, "peak"
    the most at any time, in which is also what the teacher's inference needs while it runs.
    """
    teacher_step = teacher_side(pair)
    idle = Stopwatch(Clock(pair.device))
    idle.start()
    models = {"a": pair.student, "c": model}
    of = {
        name: {
            "peak": peak(partial(forward_and_backward, m, pair.batch), pair.device),
            **kept_for_backward(m, pair.batch),
        }
        for name, m in models.items()
    }
    of["b"] = {"peak": peak(partial(teacher_step, idle), pair.device)}
    teacher = teacher_bytes(model, pair.batch)
    always = teacher["weights"] + teacher["adapters"]  # there before the step
    more = {key: of["c"][key] - of["a"][key] + always for key in ("kept", "peak")}
    allowed = teacher["weights"] + teacher["maps"] + teacher["head"]
    return {
        **of,
        "teacher": teacher,
        "c above a": more,
        "allowed": allowed,
        "holds": {key: value <= allowed for key, value in more.items()},
    }


def describe_batch(pair: Pair) -> dict:
    """What the models were given."""
    first = pair.batch[0]
    return {
        "images": len(pair.batch),
        "height": first["height"],
        "width": first["width"],
        "boxes": len(first["instances"]),
        "sampled": sum(map(len, pair.sampled)),
    }
