"""The section "side by side": ours, a plain version of ours, and torchdistill, in the same rounds
on data of the same shapes. Each against its own student's step and its own teacher's inference.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "tests"))

from reference.naive_step import naive_losses

from tadistill.engine.optimizer import build_optimizer

from . import torchdistill_sides as other
from .pair import Pair
from .rounds import Clock, Side, run_rounds
from .sides import step_side, teacher_side, training_side
from .step import describe_batch
from .summary import quartiles, ratio
from .variants import Variant

OURS, NAIVE, TORCHDISTILL = "TADistill", "plainly written", "torchdistill"


def measure_side_by_side(pair: Pair, rounds: int, clock: Clock) -> dict:
    """Seconds of all sides, and of each distillation ``c / (a + b)`` and ``c / a``.

    ``skipped`` says what was left out and why.
    """
    model = pair.distilled(Variant("every term"))
    optimizer = build_optimizer(pair.cfg, model)
    sides: dict[str, Side] = {
        "a": training_side(pair.cfg, pair.student, pair.batch),
        "b": teacher_side(pair),
        "c": training_side(pair.cfg, model, pair.batch),
        NAIVE: step_side(lambda: sum(naive_losses(model, pair.batch).values()), optimizer),
    }
    groups = {OURS: ("a", "b", "c"), NAIVE: ("a", "b", NAIVE)}
    skipped, versions = {}, {}
    if other.torchdistill is None:
        skipped[TORCHDISTILL] = other.MISSING
    else:
        versions[TORCHDISTILL] = other.torchdistill.__version__
        num_classes = pair.cfg.MODEL.ROI_HEADS.NUM_CLASSES
        theirs = other.torchdistill_sides(pair.batch, num_classes, pair.device)
        sides.update(theirs)
        groups[TORCHDISTILL] = tuple(theirs)

    seconds = {name: s["total"] for name, s in run_rounds(sides, rounds, clock).items()}
    return {
        "batch": describe_batch(pair),
        "rounds": rounds,
        "versions": versions,
        "skipped": skipped,
        "seconds": {name: quartiles(values) for name, values in seconds.items()},
        "distillations": {
            name: {
                "a": quartiles(seconds[a]),
                "b": quartiles(seconds[b]),
                "c": quartiles(seconds[c]),
                "c / (a + b)": ratio([seconds[c]], [seconds[a], seconds[b]]),
                "c / a": ratio([seconds[c]], [seconds[a]]),
            }
            for name, (a, b, c) in groups.items()
        },
    }
