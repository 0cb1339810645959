"""What a distilled step costs, beside the student's step and the teacher's inference.

    python projects/TADistill/tools/benchmark.py --config configs/demo/distilled.yaml --json FILE
        [--section step | growth | side-by-side | deployed] [--device cuda]

Measures in one process, interleaved round by round: the stock student's step, the teacher's
inference alone, and the distilled step in the variants of ``timing/variants.yaml``. Weights that
are not on this machine are random, batches are noise: neither needs a download.

    python projects/TADistill/tools/benchmark.py --record [NAME …] [--device cuda]
    python projects/TADistill/tools/benchmark.py --report

do all the runs whose figures the repository keeps (on a quiet machine), and write BENCHMARK.md from
them. ``--record`` ends with ``--report``.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import torch
from timing.deployed import measure_deployed
from timing.growth import measure_growth
from timing.machine import about
from timing.pair import Shape, build_pair, read_config
from timing.record import DIRECTORY, RUNS, record
from timing.report import render
from timing.rounds import Clock
from timing.side_by_side import measure_side_by_side
from timing.step import measure_step
from timing.variants import TABLE, read_variants

from tadistill.data import add_registration, register_coco
from tadistill.errors import ConfigError
from tadistill.files import written_whole

REPO = Path(__file__).resolve().parents[3]
PAGE = REPO / "projects/TADistill/BENCHMARK.md"
SECTIONS = ("step", "growth", "side-by-side", "deployed")


def parse_arguments(argv=None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--config", action="append", default=[], metavar="YAML")
    parser.add_argument("--section", choices=SECTIONS, default="step")
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
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="the first variant and these"
    )
    add_registration(parser, "a data set of DATASETS.TRAIN: its loading is measured too")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument(
        "--record",
        nargs="*",
        choices=[run.name for run in RUNS],
        help="do the runs that the repository keeps, or some of them",
    )
    parser.add_argument("--report", action="store_true", help="write BENCHMARK.md from their JSON")
    parser.add_argument(
        "--opts", nargs=argparse.REMAINDER, default=[], help="config keys and values; comes last"
    )
    args = parser.parse_args(argv)
    if not args.config and args.record is None and not args.report:
        parser.error("give a --config, or --record, or --report")
    return args


def main(args: argparse.Namespace) -> None:
    """What the arguments ask for."""
    if args.record is not None:
        record(args.device, args.record)
    if args.config:
        measure(args)
    if args.record is not None or args.report:
        write_page()


def measure(args: argparse.Namespace) -> dict:
    """Measures one section, prints what matters and writes the JSON."""
    target = args.json and writable(args.json.resolve())
    configs = [str(Path(path).resolve()) for path in args.config]
    if args.threads:
        torch.set_num_threads(args.threads)
    register_coco(
        (name, *(str(Path(path).resolve()) for path in paths))
        for name, *paths in args.register_coco
    )
    variants = read_variants(args.variants, args.only)
    clock = Clock(torch.device(args.device), args.busy_machine)
    shape = Shape(args.images, args.side, args.boxes)
    os.chdir(REPO)  # from where the configs name their teachers
    result = {"about": about(clock)}
    for path in configs:
        cfg = read_config(path, args.opts, args.device)
        name = str(Path(path).relative_to(REPO)) if Path(path).is_relative_to(REPO) else path
        print(f"\n{name}", flush=True)
        with tempfile.TemporaryDirectory() as work:
            if args.section == "growth":
                result["config"] = name
                result["axes"] = measure_growth(cfg, args.rounds, clock, Path(work))
                print_growth(result["axes"])
                continue
            pair = build_pair(cfg, shape, Path(work))
            if args.section == "step":
                measured = measure_step(pair, variants, args.rounds, clock, show_progress)
                print_step(measured)
            elif args.section == "side-by-side":
                measured = measure_side_by_side(pair, args.rounds, clock)
                print_ratios(measured["distillations"])
            else:
                measured = measure_deployed(pair, args.rounds, clock)
                print(f"  {measured['images / s']}")
            result.setdefault("pairs", {})[name] = measured
    if target:
        with written_whole(str(target), "w") as file:
            file.write(json.dumps(result, indent=1) + "\n")
    return result


def writable(path: Path) -> Path:
    """``path``, and its folder made: known before an hour is measured. No file is left by asking.

    Raises:
        ConfigError: if it cannot be written, or is there and not of an earlier measurement.
    """
    try:
        is_there = os.path.lexists(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a+") as file:
            file.seek(0)
            content = file.read()
        if not is_there:
            path.unlink()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--json {path} cannot be written: {error}") from error
    if content and not content.startswith('{\n "about"'):
        raise ConfigError(f"--json {path} is there, and is no measurement; choose another name")
    return path


def write_page(directory: Path = DIRECTORY, page: Path = PAGE) -> None:
    """BENCHMARK.md, and the picture of the growth beside the JSON."""
    from timing.picture import draw_growth  # matplotlib, which measuring does without

    page.write_text(render(directory))
    for path in directory.glob("growth*.json"):
        draw_growth(json.loads(path.read_text())["axes"], path.with_suffix(".png"))


def show_progress(done: int) -> None:
    """Counts the rounds, on a terminal."""
    if sys.stderr.isatty():
        print(f"\rround {done}", end="", file=sys.stderr, flush=True)


def print_step(measured: dict) -> None:
    """The figures of one pair, for a terminal."""
    for side, phases in measured["seconds"].items():
        times = ", ".join(f"{phase} {1e3 * s['median']:.1f}" for phase, s in phases.items())
        print(f"  {side:24} {times} ms")
    print_ratios(measured["variants"])
    for name, reason in measured["skipped"].items():
        print(f"  {name:24} left out: {reason}")
    step = measured["parts"]["step"]
    for part, seconds in measured["parts"].items():
        print(f"  {part:24} {1e3 * seconds:8.2f} ms {100 * seconds / step:6.2f} %")
    memory = measured["memory"]
    above, of_teacher = memory["c above a"], memory["c"]["of_teacher"]
    print(
        f"  memory of c above a, MB: kept {above['kept'] / 1e6:.1f}, peak "
        f"{above['peak'] / 1e6:.1f}, allowed {memory['allowed'] / 1e6:.1f}; of the teacher kept "
        f"for backward: {of_teacher / 1e6:.1f}"
    )


def print_ratios(steps: dict) -> None:
    """``c / (a + b)`` and ``c / a``, each on a line."""
    for name, figures in steps.items():
        both, alone = figures["c / (a + b)"], figures["c / a"]
        print(
            f"  {name:24} c / (a + b) {both['median']:.3f}, 95 % [{both['low']:.3f}, "
            f"{both['high']:.3f}], fastest quarter {both['of_fastest']:.3f}   "
            f"c / a {alone['median']:.3f}"
        )


def print_growth(axes: dict) -> None:
    """What we add at each size, and the exponent of it all."""
    for name, measured in axes.items():
        ours = ", ".join(f"{p['size']}: {1e3 * p['ours']:.1f}" for p in measured["points"])
        print(f"  {name:26} {ours} ms; exponent {measured['exponents']['ours']:.2f}")


if __name__ == "__main__":
    try:
        main(parse_arguments())
    except ConfigError as error:
        sys.exit(f"error: {error}")
