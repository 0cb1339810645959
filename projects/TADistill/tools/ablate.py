#!/usr/bin/env python
"""An ablation: each row of a grid is trained with some seeds, and its results become JSON.

    python projects/TADistill/tools/ablate.py --grid configs/ablations/digits.yaml --seeds 0 1 2 \\
        --register-coco digits_train $DATA/annotations/train.json $DATA/train \\
        --register-coco digits_val $DATA/annotations/val.json $DATA/val

Runs what is missing: what has a record is not run again, what was interrupted is resumed. So it
can be stopped at any time, or be given a time (``--stop-after MINUTES``; 3 is its exit status then
if anything is left), and started again. Several of these processes can share the work. Needs
pip install -e ".[demo]".
"""

import argparse
import signal
import sys
import time
from pathlib import Path

from ablation.command import commands_of
from ablation.execute import execute, missing_runs
from ablation.grid import load_grid
from ablation.report import write_report
from ablation.runs import row_runs
from rich.console import Console
from trainings import REPO

from tadistill.data import add_registration, register_coco
from tadistill.errors import ConfigError

UNFINISHED = 3


def parse_arguments(argv=None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--grid", type=Path, required=True, help="YAML: see ablation/grid.py")
    parser.add_argument("--config", help="instead of the grid's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="all if left out")
    parser.add_argument("--budgets", nargs="+", metavar="BUDGET", help="all if left out")
    add_registration(parser, "as of train_net.py")
    parser.add_argument("--output", type=Path, help="folder of the runs: output/ablate/GRID")
    parser.add_argument(
        "--records",
        type=Path,
        help="folder of the JSON: projects/TADistill/recorded/ablations/GRID",
    )
    parser.add_argument(
        "--jobs", type=int, help="runs at once; one a core, or one in all on a GPU, if left out"
    )
    parser.add_argument("--threads", type=int, help="of each run; 1, on a GPU up to 4")
    parser.add_argument("--stop-after", type=float, metavar="MINUTES")
    parser.add_argument(
        "--rerun",
        nargs="+",
        default=[],
        metavar="ROW",
        help="rows whose records and runs are of another config, and are to be thrown away",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="run nothing: write report.md, with tables and plots of what there is, to --records",
    )
    parser.add_argument(
        "--opts",
        nargs=argparse.REMAINDER,
        default=[],
        help="config keys and values that win over the rows', as MODEL.DEVICE cuda; the last "
        "argument",
    )
    return parser.parse_args(argv)


def main(args: argparse.Namespace, console: Console) -> int:
    """Runs what is missing. Returns the exit status."""
    until = time.monotonic() + 60 * args.stop_after if args.stop_after is not None else float("inf")
    grid = load_grid(args.grid)
    if args.config and Path(args.config).is_file():  # seen from here, or else from the repository
        args.config = str(Path(args.config).resolve())
    args.grid = args.grid.resolve()
    name = args.grid.stem
    records = args.records or REPO / "projects/TADistill/recorded/ablations" / name
    if args.report:
        budgets = args.budgets or list(grid.budgets) or [None]
        page = write_report(records.resolve(), budgets, grid.title)
        console.print(f"Written: {page}", soft_wrap=True)
        return 0
    datasets = [(n, *(Path(path).resolve() for path in paths)) for n, *paths in args.register_coco]
    register_coco((n, str(annotations), str(images)) for n, annotations, images in datasets)
    runs = row_runs(
        grid,
        args.seeds,
        config=args.config,
        rows=args.rows,
        budgets=args.budgets,
        datasets=datasets,
        opts=args.opts,
        output=(args.output or REPO / "output/ablate" / name).resolve(),
        records=records.resolve(),
    )
    failed = {}
    try:
        failed = execute(
            runs,
            grid,
            commands_of(args, datasets),
            console,
            jobs=args.jobs,
            threads=args.threads,
            until=until,
            rerun=args.rerun,
        )
    except KeyboardInterrupt:
        console.print("Interrupted.")
    for message in failed.values():
        console.print(message, soft_wrap=True, markup=False, highlight=False)
    missing = missing_runs(runs)
    if missing:
        console.print(f"Missing, {len(missing)} of {len(runs)}: the same command goes on with it.")
        console.print("; ".join(run.name for run in missing), soft_wrap=True)
    else:
        console.print(f"All {len(runs)} runs are recorded.")
    return 1 if failed else UNFINISHED if missing else 0


def _interrupt(signum, frame):
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.exit(main(parse_arguments(), Console()))
    except ConfigError as error:
        sys.exit(f"error: {error}")
