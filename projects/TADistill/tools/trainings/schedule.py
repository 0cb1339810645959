"""Some runs at once."""

import math
import os
import time
from collections.abc import Callable

from rich.console import Console

from .display import Display
from .process import Process
from .run import Run

MAX_THREADS = 4  # a small detector gains nothing from more
LOG_LINES = 15  # of a run that failed


def run_all(
    runs: list[Run],
    console: Console,
    *,
    at_once: int | None = None,
    threads: int | None = None,
    until: float = math.inf,
    on_finished: Callable[[Run], None] = lambda run: None,
    keep_going: bool = False,
    display: Display | None = None,
) -> dict[Run, str]:
    """Runs what is not finished yet. A run that was interrupted is resumed.

    However this ends, no run is left at work.

    Args:
        runs: in the order in which they are started.
        console: for the progress.
        at_once: how many; as many as there are cores if left out.
        threads: of each; what the cores give, but no more than 4, if left out.
        until: when (``time.monotonic()``) those at work are stopped.
        on_finished: called with each run that finishes, before another process can have it.
        keep_going: one that fails does not stop the others.
        display: of the progress.

    Returns:
        Why, by run, those that failed did. Runs that another process is at are left to it.

    Raises:
        SystemExit: with the end of the log of the first that fails, unless ``keep_going``.
    """
    waiting = [run for run in runs if run.state != "finished"]
    at_once = max(1, min(at_once or cores(), len(waiting)))
    threads = threads or max(1, min(MAX_THREADS, cores() // at_once))
    active: list[Process] = []
    failed: dict[Run, str] = {}
    if not waiting:
        return failed
    try:
        with display or Display(waiting, console) as display:
            while (waiting or active) and time.monotonic() < until:
                while waiting and len(active) < at_once:
                    process = Process.start(waiting.pop(0), threads)
                    if process is not None:
                        active.append(process)
                display.update(active)
                for process in [p for p in active if p.poll() is not None]:
                    if process.poll():
                        failed[process.run] = _end_of_log(process.run)
                        if not keep_going:
                            raise SystemExit(failed[process.run])
                    else:
                        process.run.state = "finished"
                        on_finished(process.run)
                    display.finish(process)
                    active.remove(process)
                    process.release()
                if active:
                    time.sleep(0.2)
    finally:
        for process in active:
            process.stop()
        for process in active:
            process.wait()
            process.release()
    return failed


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _end_of_log(run: Run) -> str:
    log = (run.directory / "console.log").read_text().splitlines()
    return "\n".join(
        [*log[-LOG_LINES:], f"error: {run.title} failed; see {run.directory}/console.log"]
    )
