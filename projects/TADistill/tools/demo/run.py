"""``make demo``: a student trained without and with a teacher, on any machine, in minutes.

Writes a data set of handwritten digits, trains a small detector on it twice, without and with a
teacher, and compares the two: as a table, as ``results.json`` and ``results.md``, and as a
picture, ``results.png``. What is done already is not done again; remove the output folder to
start over.

    python run.py [--seeds 0 1 2] [--teacher train | CHECKPOINT] [--output output/demo]
"""

import argparse
import logging
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import cv2
import detectron2
import numpy as np
import torch
from detectron2.config import CfgNode, get_cfg
from digits import CLASS_NAMES, write_digits
from rich.console import Console
from summary import terminal_table, write_results

import tadistill
from tadistill.data import register_coco

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from collect import ap_curve, gate_curves, pictured_images, result_rows
from costs import measure_costs
from picture.page import draw_results
from trainings import REPO, Run, run_all
from trainings.fingerprint import fingerprint

SHIPPED_TEACHER = REPO / "projects/TADistill/tools/demo/teacher.pth"
CONFIGS = {name: f"configs/demo/{name}.yaml" for name in ("teacher", "baseline", "distilled")}
STUDENTS = ("baseline", "distilled")
RECORD = "demo_run.json"


def parse_arguments(argv=None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--teacher",
        default=str(SHIPPED_TEACHER),
        help='a checkpoint of configs/demo/teacher.yaml, or "train"; the shipped one if left out',
    )
    parser.add_argument("--output", type=Path, default=REPO / "output/demo")
    parser.add_argument("--num-train", type=int, default=2000, help="images")
    parser.add_argument("--num-val", type=int, default=400, help="images")
    parser.add_argument(
        "--opts",
        nargs=argparse.REMAINDER,
        default=[],
        help="config keys and values for all trainings; the last argument",
    )
    return parser.parse_args(argv)


def main(args: argparse.Namespace, console: Console) -> None:
    """The whole demo, from top to bottom."""
    started = time.monotonic()
    output = args.output.resolve()
    console.rule("Data: handwritten digits over clutter")
    write_digits(output / "data", args.num_train, args.num_val)
    datasets = [
        (f"digits_{split}", output / f"data/annotations/{split}.json", output / f"data/{split}")
        for split in ("train", "val")
    ]
    register_coco(map(str, dataset) for dataset in datasets)

    teacher_weights = Path(args.teacher).resolve()
    if args.teacher == "train":
        console.rule("Teacher")
        teacher = training("teacher", output, datasets, args.opts)
        finish([teacher], console)
        teacher_weights = teacher.directory / "model_final.pth"
    elif not teacher_weights.is_file():
        raise SystemExit(f"error: --teacher {args.teacher}: there is no such file")

    console.rule("Students: the same recipe and seeds, without and with a teacher")
    from_teacher = ["MODEL.TADISTILL.TEACHER.WEIGHTS", str(teacher_weights)]
    runs = {
        (name, seed): training(name, output, datasets, [*from_teacher, *args.opts], seed)
        for seed in args.seeds
        for name in reversed(STUDENTS)
    }
    finish(list(runs.values()), console)
    overrides = [*from_teacher, *args.opts]
    teacher = Run(
        "teacher, evaluated",
        output / "runs/teacher_evaluation",
        CONFIGS["distilled"],
        datasets,
        overrides=overrides,
        evaluate_teacher=True,
        record_name=RECORD,
        depends_on=fingerprint(load_config(CONFIGS["distilled"], overrides), evaluate_teacher=True),
    )
    finish([teacher], console)

    console.rule("Costs, measured side by side")
    logging.disable(logging.WARNING)
    opts_of_teacher = args.opts if args.teacher == "train" else []
    cfgs = configs_of_trained_models(runs, args.seeds[0], teacher_weights, opts_of_teacher)
    costs = measure_costs(cfgs)

    rows = result_rows(runs, teacher, costs)
    curves = {name: {seed: ap_curve(runs[name, seed]) for seed in args.seeds} for name in STUDENTS}
    gates = gate_curves(runs["distilled", args.seeds[0]])
    about = {"curves": {"AP": curves, "gates": gates}, "about": describe_run(args, started)}
    write_results(output, rows, about)
    draw_results(
        output / "results.png",
        curves,
        rows[0]["AP"],
        gates,
        pictured_images(output, runs, teacher, args.seeds[0]),
        CLASS_NAMES,
        title="A small detector, without and with a teacher",
        subtitle="Faster R-CNN on handwritten digits, a student of half the teacher's width, "
        "same recipe and seeds without and with distillation",
    )
    console.print(terminal_table(rows))
    console.print(f"Written: {output}/results.png, results.md, results.json", soft_wrap=True)


def finish(runs: list[Run], console: Console) -> None:
    """Runs what has not finished.

    Raises:
        SystemExit: if another process is at some of it: of a demo that was killed, say, whose
            trainings went on.
    """
    run_all(runs, console)
    left = [run.title for run in runs if run.state != "finished"]
    if left:
        raise SystemExit(
            f"error: another process is at {', '.join(left)}: wait for it, then run this again"
        )


def training(
    name: str, output: Path, datasets: list, overrides: list[str], seed: int | None = None
) -> Run:
    """The training that a config of the demo describes."""
    title = name if seed is None else f"{name}, seed {seed}"
    overrides = [*overrides] if seed is None else ["SEED", str(seed), *overrides]
    directory = output / "runs" / (name if seed is None else f"{name}_seed{seed}")
    cfg = load_config(CONFIGS[name], overrides)
    return Run(
        title,
        directory,
        CONFIGS[name],
        datasets,
        cfg.SOLVER.MAX_ITER,
        overrides,
        record_name=RECORD,
        depends_on=fingerprint(cfg),
    )


def load_config(path: str, overrides: list[str]) -> CfgNode:
    """A config of the demo, with overrides."""
    cfg = get_cfg()
    tadistill.add_tadistill_config(cfg)
    cfg.merge_from_file(str(REPO / path))
    cfg.merge_from_list(overrides)
    return cfg


def configs_of_trained_models(
    runs: dict, seed: int, teacher_weights: Path, opts_of_teacher: list[str]
) -> dict[str, CfgNode]:
    """By name, configs whose MODEL.WEIGHTS are the trained weights, all on the students' device."""
    os.chdir(REPO)  # the configs name their files from here
    cfgs = {
        name: load_config(
            CONFIGS[name],
            [*runs[name, seed].overrides, "MODEL.WEIGHTS", str(final_weights(runs[name, seed]))],
        )
        for name in STUDENTS
    }
    cfgs["teacher"] = load_config(
        CONFIGS["teacher"], [*opts_of_teacher, "MODEL.WEIGHTS", str(teacher_weights)]
    )
    cfgs["teacher"].MODEL.DEVICE = cfgs["baseline"].MODEL.DEVICE
    return cfgs


def final_weights(run: Run) -> Path:
    """The exported student of a training."""
    return run.directory / "student_final.pth"


def describe_run(args: argparse.Namespace, started: float) -> dict:
    """What a reader needs to make the same numbers again."""
    git = subprocess.run(
        ["git", "-C", str(REPO), "rev-parse", "HEAD"], capture_output=True, text=True
    )
    return {
        "command": ["projects/TADistill/tools/demo/run.py", *sys.argv[1:]],
        "seeds": args.seeds,
        "commit": git.stdout.strip() or None,
        "seconds": round(time.monotonic() - started),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "detectron2": detectron2.__version__,
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
    }


if __name__ == "__main__":
    main(parse_arguments(), Console())
