"""Trains the smallest config for thousands of steps and watches the memory and the losses.

    python projects/TADistill/tools/drills/soak.py --steps 3000 --json FILE [--bfloat16]

The resident memory of the process is read every 20 steps (Linux). After the first third of the
steps, in which caches fill, it should be flat, but for the scalars of all steps, which Detectron2's
``EventStorage`` keeps: the slope is that of a least-squares line over the rest. A loss that is not
finite ends the drill with an error. ``--bfloat16`` runs the steps under autocast, on the CPU, as a
GPU would under SOLVER.AMP.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.engine import HookBase, default_setup

from tadistill import add_tadistill_config
from tadistill.data import register_coco
from tadistill.engine import TADistillTrainer, argument_parser

REPO = Path(__file__).resolve().parents[4]
CONFIG = REPO / "configs/quick_schedules/tadistill_instant_test.yaml"
sys.path.insert(0, str(REPO / "projects/TADistill/tools/demo"))

from digits import write_digits  # noqa: E402 - of the demo

EVERY = 20  # steps


class Bfloat16Trainer(TADistillTrainer):
    """Detectron2's mixed-precision trainer wants a GPU."""

    def run_step(self):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            super().run_step()


class MemoryHook(HookBase):
    """Notes the resident memory.

    Attributes:
        mebibytes: one every ``EVERY`` steps.
        bytes_of_scalars: what the ``EventStorage`` holds at the end.
    """

    def __init__(self):
        self.mebibytes: list[float] = []
        self.bytes_of_scalars = 0

    def after_train(self):
        entries = [e for h in self.trainer.storage.histories().values() for e in h.values()]
        pointer = 8  # to each, in its list
        self.bytes_of_scalars = sum(
            sys.getsizeof(entry) + sys.getsizeof(entry[0]) + pointer for entry in entries
        )

    def after_step(self):
        if self.trainer.iter % EVERY == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.mebibytes.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


def config(work: Path, steps: int) -> CfgNode:
    """The smallest config, for ``steps``, on a handful of digits."""
    write_digits(work / "data", 64, 8)
    files = (work / "data/annotations/train.json", work / "data/train")
    register_coco([("digits_train", *map(str, files))])
    cfg = get_cfg()
    add_tadistill_config(cfg)
    cfg.merge_from_file(str(CONFIG))
    os.chdir(REPO)  # from where the config names its teacher
    cfg.merge_from_list(
        [
            *("SOLVER.MAX_ITER", steps, "SOLVER.CHECKPOINT_PERIOD", 500),
            *("DATASETS.TEST", (), "OUTPUT_DIR", str(work / "run")),
        ]
    )
    return cfg


def soak(cfg: CfgNode, bfloat16: bool = False) -> dict:
    """Trains. Returns what is to be written as JSON."""
    default_setup(cfg, argument_parser().parse_args([]))
    trainer = (Bfloat16Trainer if bfloat16 else TADistillTrainer)(cfg)
    memory = MemoryHook()
    trainer.register_hooks([memory])
    began = time.monotonic()
    trainer.train()  # a loss that is not finite is an error
    settled = np.array(memory.mebibytes[len(memory.mebibytes) // 3 :])
    slope = np.polyfit(np.arange(len(settled)) * EVERY, settled, 1)[0]
    return {
        "steps_with_finite_losses": trainer.iter,
        "precision": "bfloat16" if bfloat16 else "float32",
        "resident_MiB": {
            "first": round(memory.mebibytes[0], 1),
            "after a third": round(float(settled[0]), 1),
            "last": round(float(settled[-1]), 1),
        },
        "slope_bytes_per_step": round(float(slope) * 2**20, 1),
        "of_which_Detectron2s_scalars": round(memory.bytes_of_scalars / trainer.iter, 1),
        "seconds": round(time.monotonic() - began),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    target = args.json and args.json.resolve()
    with tempfile.TemporaryDirectory() as work:
        result = soak(config(Path(work), args.steps), args.bfloat16)
    text = json.dumps(result, indent=2)
    if target:
        target.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
