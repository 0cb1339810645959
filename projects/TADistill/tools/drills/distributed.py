"""Compares several processes on the CPU with one, then kills one and looks how the others end.

    python projects/TADistill/tools/drills/distributed.py --json FILE

On detectors of some thousand weights, those of the tests: the gradients of every combination of the
terms, in batches with and without ground truth, in two processes and in one; the AP of a student in
one, two and three processes; and the seconds that the others go on when one is killed or hangs.
Takes two minutes on two idle cores.
"""

import argparse
import itertools
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from detectron2.utils import comm
from torch.distributed.elastic.utils.distributed import get_free_port

REPO = Path(__file__).resolve().parents[4]
PATHS = [str(REPO / folder) for folder in ("", "tests", "projects/TADistill")]
sys.path[:0] = PATHS

from ranks import (  # noqa: E402 - of the tests
    SCENARIOS,
    distilled,
    in_processes,
    steps_of_each_scenario,
    train_step,
)
from tiny import save_teacher, student_cfg, teacher_cfg, write_coco  # noqa: E402 - of the tests

COMBINATIONS = list(itertools.product((0, 1), repeat=3))
TIMEOUT = 20  # seconds, for the process that hangs
ITERATIONS = 20


def gradient_differences(directory: Path, teacher) -> dict:
    """For every combination and scenario the largest difference of a parameter's gradient between
    two processes and one, over the norm of that gradient.
    """
    ranks = in_processes(steps_of_each_scenario, directory, teacher, COMBINATIONS)
    found = {}
    for weights in COMBINATIONS:
        model = distilled(teacher, weights)
        of_scenario = found["feature {}, logit {}, box {}".format(*weights)] = {}
        for name, scenario in SCENARIOS.items():
            model.zero_grad()
            expected = train_step(model, scenario.images(), scenario.weight).gradients
            of_scenario[name] = max(
                relative_difference(rank[weights, name].gradients[parameter], gradient)
                for rank in ranks
                for parameter, gradient in expected.items()
            )
    return found


def relative_difference(actual: torch.Tensor, expected: torch.Tensor) -> float:
    difference = (actual - expected).norm().item()
    return difference / expected.norm().item() if difference else 0.0


class Trainings:
    """train_net.py on a handful of images, in one process or more."""

    def __init__(self, directory: Path, teacher):
        self._directory = directory
        cfg = student_cfg(
            teacher,
            *("DATASETS.TRAIN", ("drill",), "DATASETS.TEST", ("drill",)),
            *("SOLVER.MAX_ITER", ITERATIONS, "SOLVER.STEPS", (), "SOLVER.OPTIMIZER", "ADAMW"),
            *("SOLVER.BASE_LR", 0.002, "TEST.DETECTIONS_PER_IMAGE", 100),
        )
        config = directory / "distilled.yaml"
        config.write_text(cfg.dump())
        files = write_coco(directory / "data", num_images=25)
        data = ["--register-coco", "drill", str(files.annotations), str(files.images)]
        self._arguments = ["--config-file", str(config), *data]

    def start(self, command: list[str], name: str, *opts: str) -> subprocess.Popen:
        output = ["OUTPUT_DIR", str(self._directory / name)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(PATHS)}
        with open(self._directory / f"{name}.log", "a") as log:
            return subprocess.Popen(
                [sys.executable, *command, *self._arguments, *opts, *output],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(self, command: list[str], name: str, *opts: str) -> Path:
        if self.start(command, name, *opts).wait():
            sys.exit((self._directory / f"{name}.log").read_text())
        return self._directory / name

    def stricken_at(self, name: str) -> float:
        return float((self._directory / name / "stricken_at").read_text())


def torchrun(script: str, processes: int) -> list[str]:
    port = ["--master-addr", "127.0.0.1", "--master-port", str(get_free_port())]
    return ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), *port, script]


def evaluations(trainings: Trainings) -> dict:
    """One student, trained in two processes, scored in one, two and three of them."""
    script = str(REPO / "train_net.py")
    run = trainings.run(torchrun(script, 2), "trained")
    student = ("--eval-only", "MODEL.WEIGHTS", str(run / "student_final.pth"))
    detections = {"two, in the training": detections_of(run)}
    scores = {}
    for name, command in {
        "one": [script],
        "two": torchrun(script, 2),
        "three": torchrun(script, 3),
    }.items():
        folder = trainings.run(command, f"scored_by_{name}", *student) / "eval"
        scores[name] = json.loads((folder / "results.json").read_text())["bbox"]["AP"]
        detections[name] = detections_of(folder)
    return {
        "AP": scores,
        "detections": len(json.loads(detections["one"])),
        "bitwise those of one process": {
            name: text == detections["one"] for name, text in detections.items() if name != "one"
        },
    }


def detections_of(directory: Path) -> str:
    return (directory / "inference/coco_instances_results.json").read_text()


def deaths(trainings: Trainings) -> dict:
    """Seconds from the signal to the end of all others, and their exit codes."""
    script = str(REPO / "tests/mortal_train_net.py")
    found = {}

    def record(name: str, folder: str, processes: list[subprocess.Popen]) -> None:
        codes = [process.wait() for process in processes]
        seconds = time.time() - trainings.stricken_at(folder)
        found[name] = {"seconds": round(seconds, 1), "exit codes": codes}

    record("killed, torchrun", "torchrun", [trainings.start(torchrun(script, 2), "torchrun")])
    two = ["--num-gpus", "2", "--dist-url", "auto"]
    record("killed, --num-gpus 2", "launch", [trainings.start([script, *two], "launch")])

    first, second = two_machines(trainings, script, "machines")
    record("killed, --num-machines 2", "machines", [first, second])

    limit = ["--dist-timeout", str(TIMEOUT)]
    os.environ["MORTAL_SIGNAL"] = "SIGSTOP"
    first, second = two_machines(trainings, script, "hang", *limit)
    record(f"hung, --num-machines 2 --dist-timeout {TIMEOUT}", "hang", [first])
    os.killpg(second.pid, signal.SIGKILL)  # with the process that hangs
    second.wait()
    return found


def two_machines(trainings: Trainings, script: str, name: str, *words: str) -> list:
    address = f"tcp://127.0.0.1:{get_free_port()}"
    machines = ["--num-machines", "2", "--dist-url", address, *words]
    return [
        trainings.start([script, "--machine-rank", str(rank), *machines], name) for rank in (0, 1)
    ]


def environment() -> dict:
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "detectron2": "main" if hasattr(comm, "create_local_process_group") else "v0.6",
        "cores": len(os.sched_getaffinity(0)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="where the results go")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        teacher = save_teacher(teacher_cfg(), directory)
        differences = gradient_differences(directory, teacher)
        trainings = Trainings(directory, teacher)
        record = {
            "environment": environment(),
            "gradients": {
                "largest difference over the gradient's norm": max(
                    max(scenarios.values()) for scenarios in differences.values()
                ),
                "of each": differences,
            },
            "evaluation": evaluations(trainings),
            "deaths": deaths(trainings),
        }
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
