"""The progress of some runs."""

import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from .process import Process
from .run import Run

MAX_BARS = 8  # where there are more runs, those at work alone have one
SECONDS_BETWEEN_LOOKS = 2  # at the files of the runs


class Display:
    """A bar for each run, or now and then a line for each where nobody watches a terminal."""

    def __init__(
        self,
        runs: Sequence[Run],
        console: Console,
        seconds_between_lines: float = 20,
        of_all: Callable[[Sequence[Process]], str] | None = None,
    ):
        """
        Args:
            runs: all of them.
            console: where to.
            seconds_between_lines: where the terminal cannot redraw a bar.
            of_all: given those at work, a line on all runs together.
        """
        self._console = console
        self._seconds_between_lines = seconds_between_lines
        self._of_all = of_all
        self._few = len(runs) <= MAX_BARS
        self._bars = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[ap]:>9}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks = {
            run: self._bars.add_task(
                run.title, total=run.iterations, start=False, ap="", visible=self._few
            )
            for run in runs
        }
        self._all = self._bars.add_task("", total=len(runs), ap="", visible=of_all is not None)
        self._last_look = time.monotonic()

    def __enter__(self):
        self._bars.start()
        return self

    def __exit__(self, *error):
        self._bars.stop()

    def update(self, active: Sequence[Process]) -> None:
        """Shows how far those at work are."""
        terminal = self._console.is_terminal
        pause = SECONDS_BETWEEN_LOOKS if terminal else self._seconds_between_lines
        if time.monotonic() - self._last_look < pause:
            return
        self._last_look = time.monotonic()
        for process in active:
            self._show(process.run, speak=not terminal)
        if self._of_all:
            line = self._of_all(active)
            self._bars.update(self._all, description=line)
            if not terminal:
                self._console.print(line)

    def finish(self, process: Process) -> None:
        """Shows the end of one."""
        self._show(process.run, speak=False)
        self._bars.update(self._tasks[process.run], visible=self._few)
        self._bars.advance(self._all)

    def _show(self, run: Run, speak: bool) -> None:
        metrics = run.metrics
        done = max((m["iteration"] + 1 for m in metrics if "total_loss" in m), default=0)
        last_ap = next((m["bbox/AP"] for m in reversed(metrics) if "bbox/AP" in m), None)
        ap = f"AP {last_ap:.1f}" if last_ap is not None else ""
        task = self._tasks[run]
        self._bars.start_task(task)
        self._bars.update(task, completed=done, ap=ap, visible=True)
        if speak:
            of_all = f" {done} of {run.iterations} iterations {ap}" if run.iterations else ""
            self._console.print(f"{run.title}:{of_all or ' under way'}")
