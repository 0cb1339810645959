"""Runs what is missing of a grid, and records what has finished."""

import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial

from rich.console import Console
from trainings import Display, Run, cores, run_all
from trainings.fingerprint import different_keys, shown
from trainings.process import Process, lock_of
from trainings.schedule import MAX_THREADS

from tadistill.errors import ConfigError

from .about import about
from .estimate import as_time, seconds_left
from .grid import Grid
from .record import make_record, read_record, write_record
from .runs import RowRun

SECONDS_BETWEEN_LINES = 300
MEASURED_AFTER = 20  # iterations, of which a run at work says how long they take


def execute(
    runs: Sequence[RowRun],
    grid: Grid,
    command: Callable[[RowRun], str],
    console: Console,
    *,
    jobs: int | None = None,
    threads: int | None = None,
    until: float,
    rerun: Sequence[str] = (),
) -> dict[Run, str]:
    """Runs those that have no record yet, and writes their records.

    Args:
        runs: in their order.
        grid: whose they are.
        command: of a run, what runs it again.
        console: for the progress.
        jobs: how many at once; if left out one a core, or one in all on a GPU.
        threads: of each; if left out 1, or on a GPU up to 4.
        until: when (``time.monotonic()``) those at work are stopped.
        rerun: rows of which runs of another config are thrown away.

    Returns:
        Why, by run, those that failed did.

    Raises:
        ConfigError: naming them, if records are of another config than the grid has now, or
            ``rerun`` has a row that is not among them.
    """
    named = {run.row.name for run in runs}
    for name in rerun:
        if name not in named:
            raise ConfigError(f"--rerun {name}: the rows to be run are {', '.join(sorted(named))}")
    _check_records(runs, grid, set(rerun))
    on_gpu = any(run.cfg.MODEL.DEVICE.startswith("cuda") for run in runs)
    jobs = jobs or (1 if on_gpu else cores())
    threads = threads or (max(1, min(MAX_THREADS, cores() // jobs)) if on_gpu else 1)
    todo = {run.run: run for run in missing_runs(runs)}
    for run in todo.values():
        run.run.about = partial(_about, run, threads, jobs)

    def record(run: Run) -> None:
        row_run = todo[run]
        write_record(row_run.record, make_record(row_run, grid.path, command(row_run)))
        for checkpoint in run.directory.glob("model_*.pth"):
            checkpoint.unlink()  # student_final.pth is left

    for run in [run for run in todo if run.state == "finished"]:
        lock = lock_of(run)
        if lock is not None:  # or else the process that has just finished it is about to do this
            record(run)
            os.close(lock)
    console.print(f"{len(runs)} runs, of which {len(missing_runs(runs))} are to be made.")
    return run_all(
        list(todo),
        console,
        at_once=jobs,
        threads=threads,
        until=until,
        on_finished=record,
        keep_going=True,
        display=Display(
            [run for run in todo if run.state != "finished"],
            console,
            SECONDS_BETWEEN_LINES,
            lambda active: _line(runs, todo, active, jobs),
        ),
    )


def missing_runs(runs: Sequence[RowRun]) -> list[RowRun]:
    """Those that have no record."""
    return [run for run in runs if not run.record.exists()]


def _about(run: RowRun, threads: int, jobs: int) -> dict:
    described = about(run.cfg.MODEL.DEVICE, threads, jobs)
    return {**described, "depends_on": run.fingerprint}


def _check_records(runs: Sequence[RowRun], grid: Grid, rerun: set[str]) -> None:
    problems = []
    for run in runs:
        if run.row.name in rerun:
            _discard_other(run, grid)
        was = _fingerprint_of_what_there_is(run)
        keys = different_keys(was, run.fingerprint, grid.neutral)
        if keys:
            place = run.record if run.record.exists() else run.run.directory
            problems.append(f"{run.name} ({place}: {shown(keys, was, run.fingerprint)})")
    if problems:
        raise ConfigError(
            f"--grid {grid.path}: what there is was made otherwise than it would be now: "
            + "; ".join(problems)
            + ". Nothing was run. Undo the change, choose other --records and --output, or throw "
            "these away and run them again with --rerun ROW …"
        )


def _fingerprint_of_what_there_is(run: RowRun) -> dict:
    """Of its record or, where it has none, of what was begun; else as it is now."""
    recorded = read_record(run.record)
    if recorded:
        return recorded["depends_on"]
    parts = run.run.parts
    return parts[0]["depends_on"] if parts else run.fingerprint


def _discard_other(run: RowRun, grid: Grid) -> None:
    """Throws a run away if it is not what the grid means now."""
    was = _fingerprint_of_what_there_is(run)
    if not different_keys(was, run.fingerprint, grid.neutral):
        return
    lock = lock_of(run.run)
    if lock is None:
        raise ConfigError(f"--rerun {run.row.name}: another process is at {run.run.directory}")
    run.record.unlink(missing_ok=True)
    shutil.rmtree(run.run.directory)


def _line(
    runs: Sequence[RowRun], todo: dict[Run, RowRun], active: Sequence[Process], at_once: int
) -> str:
    """All runs in one line."""
    rates, left = [], {}
    for run in runs:
        recorded = None if run.row.evaluate_teacher else read_record(run.record)
        if recorded:
            rates.append((run.row.name, recorded["seconds"] / recorded["iterations"]))
    for process in active:
        done = process.run.iterations_done - process.iterations_before
        if done >= MEASURED_AFTER:
            rates.append((todo[process.run].row.name, process.seconds / done))
    missing = missing_runs(runs)
    for run in missing:
        if run.run.iterations:
            iterations = run.run.iterations - run.run.iterations_done
            left.setdefault(run.row.name, []).append(iterations)
    time_left = as_time(seconds_left(left, rates, at_once))
    return f"{len(runs) - len(missing)} of {len(runs)} recorded, {time_left} left"
