"""Runs ``train_net.py`` for the demo: some trainings at once, with their progress shown."""

import json
import os
import shutil
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
    def arguments(self) -> list[str]:
        """Of ``train_net.py``."""
        arguments = ["--config-file", self.config]
        for dataset in self.datasets:
            arguments += ["--register-coco", *map(str, dataset)]
        if self.evaluate_teacher:
            arguments.append("--eval-teacher")
        return [*arguments, "OUTPUT_DIR", str(self.directory), *self.overrides]

    @property
    def state(self) -> str:
        """ "new", "started" or "finished". Raises SystemExit if the folder is of another run."""
        if not self._record.exists():
            return "new"
        record = json.loads(self._record.read_text())
        if record["arguments"] != self.arguments:
            raise SystemExit(
                f"error: {self.directory} holds a run of other arguments. Remove the folder to run "
                "this one, or choose another with --output"
            )
        return record["state"]

    @state.setter
    def state(self, state: str) -> None:
        self._record.write_text(json.dumps({"state": state, "arguments": self.arguments}))

    @property
    def _record(self) -> Path:
        return self.directory / "demo_run.json"

    @property
    def metrics(self) -> list[dict]:
        """The scalars of metrics.json, one dict an iteration. A line may be cut short by an
        interruption, and the iterations after the last checkpoint are written again then.
        """
        path = self.directory / "metrics.json"
        lines = path.read_text().splitlines() if path.exists() else []
        by_iteration: dict[int, dict] = {}
        for scalars in (json.loads(line) for line in lines if line.endswith("}")):
            by_iteration.setdefault(scalars["iteration"], {}).update(scalars)
        return [by_iteration[iteration] for iteration in sorted(by_iteration)]


def run_all(runs: list[Run], console: Console) -> None:
    """Runs what is not finished yet, as many at a time as there are cores.

    A run that was interrupted is resumed. Raises SystemExit with the end of the log of the first
    that fails, after stopping the others.
    """
    waiting = [run for run in runs if run.state != "finished"]
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
    command = [sys.executable, str(REPO / "train_net.py"), *run.arguments]
    if run.state == "started" and run.evaluate_teacher:
        shutil.rmtree(run.directory)
    elif run.state == "started":
        command.insert(2, "--resume")
    run.directory.mkdir(parents=True, exist_ok=True)
    run.state = "started"
    log = open(run.directory / "console.log", "a")  # noqa: SIM115 - the process's from here on
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    return subprocess.Popen(command, cwd=REPO, env=environment, stdout=log, stderr=log)


def _finish(run: Run, returncode: int) -> None:
    if returncode:
        log = (run.directory / "console.log").read_text().splitlines()
        raise SystemExit(
            "\n".join([*log[-15:], f"error: {run.title} failed; see {run.directory}/console.log"])
        )
    run.state = "finished"


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
                of_all = f" {done} of {run.iterations} iterations {ap}" if run.iterations else ""
                self._console.print(f"{run.title}:{of_all or ' under way'}")
                self._last_line = time.monotonic()
