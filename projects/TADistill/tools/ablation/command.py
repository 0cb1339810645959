"""The command that runs one row again, for a reader on another machine."""

import os
import shlex
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from trainings import REPO

from .record import shown_path
from .runs import RowRun

TOOL = "projects/TADistill/tools/ablate.py"


def commands_of(
    args: Namespace, datasets: Sequence[tuple[str, Path, Path]]
) -> Callable[[RowRun], str]:
    """What makes, of a run, the command that runs it again.

    Data sets that lie outside the repository are under ``$DATA`` there, the folder that holds them
    all: where they are on this machine is nobody's business.

    Args:
        args: of ``ablate.py``.
        datasets: ``--register-coco`` triples of absolute paths.
    """
    outside = [str(p) for _, *paths in datasets for p in paths if not p.is_relative_to(REPO)]
    data = Path(os.path.commonpath(outside)) if outside else None

    def shown(path: Path) -> str:
        if path.is_relative_to(REPO):
            return shlex.quote(str(path.relative_to(REPO)))
        return f'"$DATA/{path.relative_to(data)}"'

    def command(run: RowRun) -> str:
        words = ["python", TOOL, "--grid", shlex.quote(shown_path(args.grid))]
        if args.config:
            words += ["--config", shlex.quote(shown_path(args.config))]
        words += ["--rows", run.row.name]
        if run.budget is not None:
            words += ["--budgets", run.budget]
        if run.seed is not None:
            words += ["--seeds", str(run.seed)]
        for name, *paths in datasets:
            words += ["--register-coco", shlex.quote(name), *map(shown, paths)]
        folder = shlex.quote(f"output/again/{args.grid.stem}")
        words += ["--output", folder, "--records", folder]
        if args.opts:
            words += ["--opts", *map(shlex.quote, args.opts)]
        return " ".join(words)

    return command
