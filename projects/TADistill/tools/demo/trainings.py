"""Runs ``train_net.py`` for the demo: some trainings at once, with their progress shown."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

REPO = Path(__file__).resolve().parents[4]
SECONDS_BETWEEN_LINES = 20  # where the terminal cannot redraw a bar
MAX_THREADS = 4  # a small detector gains nothing from more


@dataclass
class Run:
    """One call of ``train_net.py`` that leaves its results in a folder.

    Attributes:
        title: shown beside its progress.
        directory: its OUTPUT_DIR.
        config: the config file, relative to the repository.
        datasets: ``--register-coco`` triples.
        iterations: how many there are, for the progress; None for an evaluation.
        overrides: keys and values.
        evaluate_teacher: only evaluate the config's teacher.
    """

    title: str
    directory: Path
    config: str
    datasets: list[tuple[str, Path, Path]]
    iterations: int | None = None
    overrides: list[str] = field(default_factory=list)
    evaluate_teacher: bool = False

    @property
    def command(self) -> list[str]:
        command = [sys.executable, str(REPO / "train_net.py"), "--config-file", self.config]
        for dataset in self.datasets:
            command += ["--register-coco", *map(str, dataset)]
        if self.evaluate_teacher:
            command.append("--eval-teacher")
        return [*command, "OUTPUT_DIR", str(self.directory), *self.overrides]

    @property
    def stamp(self) -> Path:
        """Holds the command once the run has come to its end."""
        return self.directory / "finished.json"

    @property
    def finished(self) -> bool:
        if not self.stamp.exists():
            return False
        if json.loads(self.stamp.read_text()) != self.command:
            raise SystemExit(
                f"error: {self.directory} holds a run of another command. Remove the folder to run "
                "this one, or choose another with --output"
            )
        return True

    @property
    def interrupted(self) -> bool:
        return (self.directory / "last_checkpoint").exists()

    @property
    def metrics(self) -> list[dict]:
        """The lines of metrics.json that are whole."""
        path = self.directory / "metrics.json"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]


def run_all(runs: list[Run], console: Console) -> None:
    """Runs what is not finished yet, as many at a time as there are cores.

    A run that was interrupted is resumed. Raises SystemExit with the end of the log of the first
    that fails, after stopping the others.
    """
    waiting = [run for run in runs if not run.finished]
    if not waiting:
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    at_once = max(1, min(cores, len(waiting)))
    threads = max(1, min(MAX_THREADS, cores // at_once))
    active: dict[subprocess.Popen, Run] = {}
    try:
        with _Display(waiting, console) as display:
            while waiting or active:
                while waiting and len(active) < at_once:
                    run = waiting.pop(0)
                    active[_start(run, threads)] = run
                time.sleep(0.5)
                display.update(active.values())
                for process in [p for p in active if p.poll() is not None]:
                    run = active.pop(process)
                    _finish(run, process.returncode)
                    display.update([run])
    finally:
        for process in active:
            process.terminate()


def _start(run: Run, threads: int) -> subprocess.Popen:
    run.directory.mkdir(parents=True, exist_ok=True)
    command = run.command
    if run.interrupted:
        command = [*command[:2], "--resume", *command[2:]]
    log = open(run.directory / "console.log", "a")  # noqa: SIM115 - the process's from here on
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    return subprocess.Popen(command, cwd=REPO, env=environment, stdout=log, stderr=log)


def _finish(run: Run, returncode: int) -> None:
    if returncode:
        log = (run.directory / "console.log").read_text().splitlines()
        raise SystemExit(
            "\n".join([*log[-15:], f"error: {run.title} failed; see {run.directory}/console.log"])
        )
    run.stamp.write_text(json.dumps(run.command))


class _Display:
    """A bar for each run, or now and then a line for each where nobody watches a terminal."""

    def __init__(self, runs: list[Run], console: Console):
        self._console = console
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
            run.title: self._bars.add_task(run.title, total=run.iterations, start=False, ap="")
            for run in runs
        }
        self._last_line = time.monotonic()

    def __enter__(self):
        self._bars.start()
        return self

    def __exit__(self, *error):
        self._bars.stop()

    def update(self, runs) -> None:
        speak = time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES
        for run in runs:
            metrics = run.metrics
            done = max((m["iteration"] + 1 for m in metrics if "total_loss" in m), default=0)
            last_ap = next((m["bbox/AP"] for m in reversed(metrics) if "bbox/AP" in m), None)
            ap = f"AP {last_ap:.1f}" if last_ap is not None else ""
            task = self._tasks[run.title]
            self._bars.start_task(task)
            self._bars.update(task, completed=done, ap=ap)
            if speak and not self._console.is_terminal:
                self._console.print(f"{run.title}: {done} of {run.iterations} iterations {ap}")
                self._last_line = time.monotonic()
