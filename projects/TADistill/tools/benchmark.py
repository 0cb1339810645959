"""What a distilled step costs, beside the student's step and the teacher's inference.

    python projects/TADistill/tools/benchmark.py --config configs/demo/distilled.yaml --json FILE

Measures in one process, interleaved round by round: the stock student's step, the teacher's
inference alone, and the distilled step in the variants of ``timing/variants.yaml``. Weights that
are not on this machine are random, batches are noise: neither needs a download.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import torch
from timing.machine import about
from timing.pair import Shape, build_pair, read_config
from timing.rounds import Clock
from timing.step import measure_step
from timing.variants import TABLE, read_variants

from tadistill.data import register_coco
from tadistill.errors import ConfigError

REPO = Path(__file__).resolve().parents[3]


def parse_arguments(argv=None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--config", action="append", required=True, metavar="YAML")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, help="of the CPU; torch's default if left out")
    parser.add_argument(
        "--busy-machine",
        action="store_true",
        help="measure the process's seconds on the processor; for one thread, not to be published",
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--images", type=int, help="in a batch; the config's if left out")
    parser.add_argument("--side", type=int, help="of the images, pixels; the config's if left out")
    parser.add_argument("--boxes", type=int, default=8, help="ground-truth boxes an image")
    parser.add_argument("--variants", type=Path, default=TABLE, help="a YAML file of variants")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these variants")
    parser.add_argument(
        "--register-coco",
        nargs=3,
        action="append",
        default=[],
        metavar=("NAME", "JSON", "IMAGE_DIR"),
        help="a data set of DATASETS.TRAIN: its loading is measured too",
    )
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument(
        "--opts", nargs=argparse.REMAINDER, default=[], help="config keys and values; comes last"
    )
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> dict:
    """Measures all configs, prints what matters and writes the JSON."""
    target = args.json and args.json.resolve()
    configs = [str(Path(path).resolve()) for path in args.config]
    if args.threads:
        torch.set_num_threads(args.threads)
    register_coco(args.register_coco)
    clock = Clock(torch.device(args.device), args.busy_machine)
    variants = read_variants(args.variants, args.only)
    os.chdir(REPO)  # from where the configs name their teachers
    result = {"about": about(clock), "pairs": {}}
    for path in configs:
        with tempfile.TemporaryDirectory() as work:
            cfg = read_config(path, args.opts, args.device)
            pair = build_pair(cfg, Shape(args.images, args.side, args.boxes), Path(work))
            measured = measure_step(pair, variants, args.rounds, clock, progress(args.rounds))
        name = str(Path(path).relative_to(REPO)) if Path(path).is_relative_to(REPO) else path
        result["pairs"][name] = measured
        print(f"\n{name}")
        print_step(measured)
    if target:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(result, indent=1) + "\n")
    return result


def progress(rounds: int):
    """A line that counts the rounds, on a terminal."""

    def show(done: int) -> None:
        if sys.stderr.isatty():
            print(f"\rround {done} of {rounds}", end="", file=sys.stderr, flush=True)

    return show


def print_step(measured: dict) -> None:
    """The figures of one pair, for a terminal."""
    for side, phases in measured["seconds"].items():
        times = ", ".join(f"{phase} {1e3 * s['median']:.1f}" for phase, s in phases.items())
        print(f"  {side:24} {times} ms")
    for name, figures in measured["variants"].items():
        both, alone = figures["c / (a + b)"], figures["c / a"]
        print(
            f"  {name:24} c / (a + b) {both['median']:.3f} "
            f"[{both['q1']:.3f}, {both['q3']:.3f}]   c / a {alone['median']:.3f}"
        )
    for name, reason in measured["skipped"].items():
        print(f"  {name:24} left out: {reason}")
    step = measured["parts"]["step"]
    for part, seconds in measured["parts"].items():
        print(f"  {part:24} {1e3 * seconds:8.2f} ms {100 * seconds / step:6.2f} %")
    memory = measured["memory"]
    print(
        f"  memory of c above a, MB: {memory['c above a']['peak'] / 1e6:.1f}, "
        f"allowed {memory['allowed'] / 1e6:.1f}; of the teacher kept for backward: "
        f"{memory['c']['of_teacher'] / 1e6:.1f}"
    )


if __name__ == "__main__":
    try:
        main(parse_arguments())
    except ConfigError as error:
        sys.exit(f"error: {error}")
