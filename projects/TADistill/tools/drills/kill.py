"""Kills trainings again and again, resumes them, and compares them with one that nobody killed.

    python projects/TADistill/tools/drills/kill.py --kills 30 --json FILE [--work FOLDER]

A small distillation on the demo's digits is trained once without interruption. Then it is trained
again, with SIGKILL sent to it in the middle of a step, of a checkpoint or of an evaluation, and
``--resume`` after each, as many times as it takes for ``--kills`` kills. At the end of each
training its weights, its optimizer and every line of its ``metrics.json`` (losses, gates, w(t),
learning rate, AP) must be, bit for bit, those of the uninterrupted one.
"""

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

REPO = Path(__file__).resolve().parents[4]
sys.path.insert(0, str(REPO / "projects/TADistill/tools/demo"))

from digits import write_digits  # noqa: E402 - of the demo

KINDS = ("step", "checkpoint", "evaluation")
KILLS_A_TRAINING = 6  # then it is left alone to reach its end
OPTS = (
    *("SOLVER.MAX_ITER", "60", "SOLVER.CHECKPOINT_PERIOD", "7", "TEST.EVAL_PERIOD", "20"),
    *("SOLVER.WARMUP_ITERS", "10"),
)
TIMES = ("time", "data_time", "rank_data_time", "eta_seconds")


class Training:
    """A training of the drill, in a folder of its own.

    Attributes:
        not_whole: files of weights that a kill left behind cut short.
    """

    def __init__(self, directory: Path, data: Path):
        self.directory = directory
        self.not_whole: list[str] = []
        self._arguments = [
            *("--config-file", "configs/quick_schedules/tadistill_instant_test.yaml"),
            *register("train", data),
            *register("val", data),
        ]

    def start(self) -> subprocess.Popen:
        """``train_net.py``, resumed where there is something to resume."""
        self.directory.mkdir(parents=True, exist_ok=True)
        resume = ["--resume"] if any(self.directory.iterdir()) else []
        opts = ["OUTPUT_DIR", str(self.directory), *OPTS]
        with open(self.directory.with_suffix(".console"), "a") as log:
            return subprocess.Popen(
                [sys.executable, "train_net.py", *self._arguments, *resume, *opts],
                cwd=REPO,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=log,
            )

    def finish(self) -> None:
        """Runs it to its end."""
        process = self.start()
        if process.wait():
            raise SystemExit(f"error: see {self.directory.with_suffix('.console')}")

    def kill(self, kind: str, rng: random.Random) -> str | None:
        """Runs it and kills it.

        Returns:
            Where it was: the last line of its log; None if it had ended before.
        """
        process = self.start()
        due = {
            "step": self._within_the_steps(rng),
            "checkpoint": self._log_says("Saving checkpoint"),  # which is written after the line
            "evaluation": self._log_says("Start inference"),
        }[kind]
        while process.poll() is None:
            if due():
                process.send_signal(signal.SIGKILL)
                if process.wait() == -signal.SIGKILL:
                    self.not_whole += [
                        path.name
                        for path in self.directory.glob("*.pth")
                        if not zipfile.is_zipfile(path)
                    ]
                    return self._log().splitlines()[-1]
                break
            time.sleep(0.0005)
        if process.returncode:
            raise SystemExit(f"error: see {self.directory.with_suffix('.console')}")
        return None

    def _log(self) -> str:
        path = self.directory / "log.txt"
        return path.read_text() if path.exists() else ""

    def _log_says(self, words: str) -> Callable[[], bool]:
        start = len(self._log())
        return lambda: words in self._log()[start:]

    def _within_the_steps(self, rng: random.Random) -> Callable[[], bool]:
        """Some time after the training has begun."""
        begun, wait, since = self._log_says("Starting training"), rng.uniform(0, 5), None

        def due():
            nonlocal since
            if since is None and begun():
                since = time.monotonic()
            return since is not None and time.monotonic() - since > wait

        return due

    def state(self) -> dict[str, bytes]:
        """Each tensor of the last checkpoint, by its place in it."""
        return dict(_tensors(torch.load(self.directory / "model_final.pth", map_location="cpu")))

    def lines(self) -> list[dict]:
        """All that was ever written to metrics.json, without times; of a line cut short nothing."""
        records = []
        for line in (self.directory / "metrics.json").read_text().splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            records.append({name: v for name, v in record.items() if name not in TIMES})
        return records


def register(split: str, data: Path) -> list[str]:
    """The arguments that register a split of the digits."""
    return [
        "--register-coco",
        f"digits_{split}",
        str(data / f"annotations/{split}.json"),
        str(data / split),
    ]


def _tensors(node, path=""):
    if isinstance(node, torch.Tensor):
        yield path, node.numpy().tobytes()
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _tensors(value, f"{path}/{key}")
    elif isinstance(node, list | tuple):
        for key, value in enumerate(node):
            yield from _tensors(value, f"{path}/{key}")


def differences(training: Training, whole: Training) -> list[str]:
    """What is not as in the uninterrupted training; empty if nothing is."""
    found, expected = training.state(), whole.state()
    different = [name for name in expected if found.get(name) != expected[name]]
    different += [name for name in found if name not in expected]
    different += training.not_whole

    records: dict[int, dict] = {}
    for record in whole.lines():
        records.setdefault(record.pop("iteration"), {}).update(record)
    last = max(records)
    scored = False
    for record in training.lines():
        # Detectron2 counts one on when it resumes a training that was at its end.
        iteration = min(record.pop("iteration"), last)
        scored |= iteration == last and "bbox/AP" in record
        different += [
            f"{name} of iteration {iteration}"
            for name, value in record.items()
            if records[iteration].get(name) != value and value == value  # AP may be NaN
        ]
    return different if scored else [*different, "there is no AP at the end"]


def drill(kills: int, work: Path, seed: int = 0) -> dict:
    """Kills that many times. Returns what is to be written as JSON."""
    rng = random.Random(seed)
    began = time.monotonic()
    write_digits(work / "data", 32, 8)
    whole = Training(work / "whole", work / "data")
    whole.finish()
    trainings, done = [], []
    while len(done) < kills:
        training = Training(work / f"killed_{len(trainings)}", work / "data")
        here = []
        for _ in range(min(KILLS_A_TRAINING, kills - len(done))):
            kind = KINDS[len(done) % len(KINDS)]
            where = training.kill(kind, rng)
            if where is None:
                break
            here.append(kind)
            done.append(kind)
            print(f"kill {len(done)} ({kind}): {where[:110]}", flush=True)
        training.finish()
        different = differences(training, whole)
        trainings.append({"kills": here, "differences": different})
        print(f"training {len(trainings)}: {len(different)} differences", flush=True)
    return {
        "kills": len(done),
        "kills_by_kind": dict(Counter(done)),
        "survived": sum(len(t["kills"]) for t in trainings if not t["differences"]),
        "trainings": trainings,
        "tensors_compared": len(whole.state()),
        "final_AP": [r["bbox/AP"] for r in whole.lines() if "bbox/AP" in r][-1],
        "seed": seed,
        "seconds": round(time.monotonic() - began),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--work", type=Path, help="an empty folder; a temporary one if left out")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        result = drill(args.kills, (args.work or Path(temporary)).resolve(), args.seed)
    text = json.dumps(result, indent=2)
    if args.json:
        args.json.write_text(text + "\n")
    print(text)
    if result["survived"] < result["kills"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
