"""Sends files that try to run code through every door of the project, and counts.

    python projects/TADistill/tools/drills/untrusted_files.py --json FILE

First each file is opened without care, to see that its code does run. Then each goes through each
door, in this process, as ``train_net.py`` and the exports open it; and one a door through these
programs themselves. The table is written as JSON. Exits with 1 if any code ran, or a file was not
refused by its name. Takes some minutes; needs what the demo needs, timm and onnxruntime.
"""

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import attacks
import yaml
from detectron2.config import CfgNode, get_cfg
from detectron2.modeling import build_model

from tadistill import add_tadistill_config
from tadistill.backbones import TIMM_FPN
from tadistill.data import register_coco
from tadistill.engine import TADistillTrainer, evaluate_student, evaluate_teacher
from tadistill.engine.evaluation import load_student
from tadistill.errors import ConfigError
from tadistill.merging import merge_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))
import digits
from timing.pair import Shape, build_pair

REPO = Path(__file__).resolve().parents[4]
CONFIG = "configs/demo/distilled.yaml"
TEACHER = "MODEL.TADISTILL.TEACHER"
SMALL_TIMM_MODEL = "test_efficientnet"
PACKAGES = ("torch", "numpy", "detectron2", "fvcore", "PyYAML", "safetensors")
SECONDS_TO_RUN = 10  # that code which was started gets before it counts as one that did not run


class Doors:
    """Each method opens a weights file as a user would have it opened."""

    def __init__(self, directory: Path):
        self._directory = directory
        self._cfg = get_cfg()
        add_tadistill_config(self._cfg)
        merge_file(self._cfg, str(REPO / CONFIG), "CONFIG")
        self._cfg.OUTPUT_DIR = str(directory)
        plain = self._cfg.clone()
        plain.MODEL.TADISTILL.ENABLED = False
        self._trainer = TADistillTrainer(plain)

    def all(self) -> dict[str, Callable[[Path], None]]:
        """Them, by what the user types."""
        return {
            f"{TEACHER}.WEIGHTS": self._teacher,
            "--eval-teacher": self._evaluated_teacher,
            "MODEL.TIMM.WEIGHTS": self._backbone,
            "MODEL.WEIGHTS": self._start,
            "--resume": self._resume,
            "--eval-only": self._evaluate,
            "--eval-only --resume": self._evaluate_last,
            "export_student.py, export_onnx.py": self._export,
            "benchmark.py": self._benchmark,
        }

    def with_teacher(self, **keys: str) -> CfgNode:
        """The config with other values of ``MODEL.TADISTILL.TEACHER``."""
        cfg = self._cfg.clone()
        cfg.MODEL.TADISTILL.TEACHER.update(keys)
        return cfg

    def _teacher(self, path: Path) -> None:
        build_model(self.with_teacher(WEIGHTS=str(path)))

    def _evaluated_teacher(self, path: Path) -> None:
        evaluate_teacher(self.with_teacher(WEIGHTS=str(path)))

    def _backbone(self, path: Path) -> None:
        cfg = self._trainer.cfg.clone()
        cfg.MODEL.BACKBONE.NAME = TIMM_FPN
        cfg.MODEL.TIMM.NAME = SMALL_TIMM_MODEL
        cfg.MODEL.TIMM.WEIGHTS = str(path)
        build_model(cfg)

    def _start(self, path: Path) -> None:
        self._trainer.cfg.MODEL.WEIGHTS = str(path)
        self._trainer.resume_or_load(resume=False)

    def _resume(self, path: Path) -> None:
        self._make_last(path)
        self._trainer.resume_or_load(resume=True)

    def _evaluate(self, path: Path) -> None:
        cfg = self._cfg.clone()
        cfg.MODEL.WEIGHTS = str(path)
        evaluate_student(cfg, str(self._directory))

    def _evaluate_last(self, path: Path) -> None:
        self._make_last(path)
        evaluate_student(self._cfg, str(self._directory), resume=True)

    def _export(self, path: Path) -> None:
        load_student(self._cfg, str(path), "CHECKPOINT")

    def _benchmark(self, path: Path) -> None:
        build_pair(self.with_teacher(WEIGHTS=str(path)), Shape(1, 64, 1), self._directory)

    def _make_last(self, path: Path) -> None:
        (self._directory / "last_checkpoint").write_text(os.path.relpath(path, self._directory))


def is_refused(enter: Callable[[Path], object], opened: Path, bad: Path) -> bool:
    """Whether a door at which ``opened`` is given refuses ``bad``, with an error that names it."""
    try:
        enter(opened)
    except ConfigError as e:
        # A resumed run names it from its own folder.
        return os.path.join(*bad.parts[-2:]) in str(e)
    except Exception as e:
        print(f"{bad}: {type(e).__name__}: {e}", file=sys.stderr)
    return False


def weights_table(directory: Path, doors: dict[str, Callable[[Path], None]]) -> dict:
    """Every malicious weights file at every door."""
    opened = list(attacks.weights_attacks(directory / "opened"))
    for attack in opened:
        attacks.open_without_care(attack.path)
    deadline = time.monotonic() + SECONDS_TO_RUN
    while time.monotonic() < deadline and not all(attack.succeeded() for attack in opened):
        time.sleep(0.1)

    tried = list(attacks.weights_attacks(directory / "tried"))
    refused = {
        door: sum(is_refused(enter, attack.path, attack.path) for attack in tried)
        for door, enter in doors.items()
    }
    return {
        "files": len(tried),
        "that_run_code_when_opened_without_care": sum(a.succeeded() for a in opened),
        "files_by_format": dict(Counter(attack.container for attack in tried)),
        "payloads": sorted({attack.payload for attack in tried}),
        "refused_by_door": refused,
        "tried": len(tried) * len(doors),
        "refused": sum(refused.values()),
        "code_that_ran": sum(attack.succeeded() for attack in tried),
    }


def config_table(directory: Path, doors: Doors) -> dict:
    """Every malicious YAML tag, in a config and in its ``_BASE_``."""
    marker, first, below = (directory / name for name in ("marker", "first.yaml", "below.yaml"))
    texts = attacks.config_attacks(marker)
    alive = 0
    for text in texts.values():
        yaml.unsafe_load(text)
        alive += marker.exists()
        marker.unlink(missing_ok=True)

    entrances = {
        "--config-file": lambda path: merge_file(get_cfg(), str(path), "--config-file"),
        f"{TEACHER}.CONFIG_FILE": lambda path: build_model(
            doors.with_teacher(CONFIG_FILE=str(path))
        ),
    }
    refused = Counter()
    for text in texts.values():
        for bad in (first, below):
            first.write_text(f"_BASE_: {below.name}\n")
            bad.write_text(text)
            for door, enter in entrances.items():
                refused[door] += is_refused(enter, first, bad)
    return {
        "files": len(texts),
        "tags": list(texts),
        "that_run_code_when_opened_without_care": alive,
        "refused_by_door": dict(refused),
        "tried": len(texts) * 2 * len(entrances),
        "refused": sum(refused.values()),
        "code_that_ran": int(marker.exists()),
    }


def program_table(directory: Path, data: Path) -> dict:
    """One malicious file a door, through the programs themselves."""
    attack = next(iter(attacks.weights_attacks(directory / "programs")))
    run = directory / "run"
    run.mkdir()
    (run / "last_checkpoint").write_text(str(attack.path))
    (run / "config.yaml").write_text(f"_BASE_: {REPO / CONFIG}\n")
    bad_config = directory / "bad.yaml"
    bad_config.write_text(attacks.config_attacks(attack.marker).popitem()[1])

    def train_net(*arguments: str, config: str = CONFIG) -> list[str]:
        registered = [
            word
            for split in ("train", "val")
            for word in (
                *("--register-coco", f"digits_{split}"),
                *(f"{data}/annotations/{split}.json", f"{data}/{split}"),
            )
        ]
        return ["train_net.py", "--config-file", config, *registered, *arguments]

    weights, fresh = str(attack.path), str(directory / "fresh")
    commands = {
        f"{TEACHER}.WEIGHTS": train_net(f"{TEACHER}.WEIGHTS", weights, "OUTPUT_DIR", fresh),
        "--eval-teacher": train_net(
            "--eval-teacher", f"{TEACHER}.WEIGHTS", weights, "OUTPUT_DIR", fresh
        ),
        "MODEL.TIMM.WEIGHTS": train_net(
            *("MODEL.BACKBONE.NAME", TIMM_FPN, "MODEL.TIMM.NAME", SMALL_TIMM_MODEL),
            *("MODEL.TIMM.WEIGHTS", weights, "OUTPUT_DIR", fresh),
        ),
        "MODEL.WEIGHTS": train_net("MODEL.WEIGHTS", weights, "OUTPUT_DIR", fresh),
        "--resume": train_net("--resume", "OUTPUT_DIR", str(run)),
        "--eval-only": train_net("--eval-only", "MODEL.WEIGHTS", weights, "OUTPUT_DIR", fresh),
        "--eval-only --resume": train_net("--eval-only", "--resume", "OUTPUT_DIR", str(run)),
        "export_student.py": [
            *("projects/TADistill/tools/export_student.py", weights),
            *("--config-file", str(run / "config.yaml"), "--output", fresh),
        ],
        "export_onnx.py": [
            *("projects/TADistill/tools/export_onnx.py", str(run / "config.yaml")),
            *(f"{data}/val/{digits.image_name(0)}", "--weights", weights),
        ],
        "benchmark.py": [
            *("projects/TADistill/tools/benchmark.py", "--config", CONFIG, "--rounds", "1"),
            *("--opts", f"{TEACHER}.WEIGHTS", weights),
        ],
        "--config-file": train_net(config=str(bad_config)),
        f"{TEACHER}.CONFIG_FILE": train_net(
            f"{TEACHER}.CONFIG_FILE", str(bad_config), "OUTPUT_DIR", fresh
        ),
    }
    refused = {}
    for door, command in commands.items():
        process = subprocess.run(
            [sys.executable, *command], cwd=REPO, capture_output=True, text=True
        )
        last = process.stderr.strip().splitlines()[-1]
        named = attack.path.name in last or bad_config.name in last
        refused[door] = process.returncode == 1 and last.startswith("error: ") and named
        if not refused[door]:
            print(f"{door}: {process.returncode}: {last}", file=sys.stderr)
    return {
        "refused_by_door": refused,
        "tried": len(commands),
        "refused": sum(refused.values()),
        "code_that_ran": int(attack.succeeded()),
    }


def drill(directory: Path) -> dict:
    """The three tables, and their sums."""
    data = directory / "data"
    digits.write_digits(data, num_train=2, num_val=2, seed=0)
    for split in ("train", "val"):
        annotations = str(data / "annotations" / f"{split}.json")
        register_coco([(f"digits_{split}", annotations, str(data / split))])
    doors = Doors(directory)
    tables = {
        "weights": weights_table(directory, doors.all()),
        "configs": config_table(directory, doors),
        "programs": program_table(directory, data),
    }
    total = {
        name: sum(table[name] for table in tables.values())
        for name in ("tried", "refused", "code_that_ran")
    }
    versions = {name: metadata.version(name) for name in PACKAGES}
    return {
        "versions": {"python": platform.python_version(), **versions},
        **total,
        **tables,
    }


def main() -> None:
    """Runs the drill, writes its table and exits by its outcome."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--json", type=Path, help="where to write the table")
    output = parser.parse_args().json
    output = output and output.resolve()
    # So that it is not torch's default that refuses the files.
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    os.chdir(REPO)  # the configs name their teacher from there

    with tempfile.TemporaryDirectory() as directory:
        result = drill(Path(directory))
    if output:
        output.write_text(json.dumps(result, indent=2) + "\n")
    print(*(f"{name}: {result[name]}" for name in ("tried", "refused", "code_that_ran")), sep="\n")

    for table in (result["weights"], result["configs"]):
        if table["that_run_code_when_opened_without_care"] != table["files"]:
            sys.exit(
                "error: not every file is an attack: some run nothing, however they are opened"
            )
    if result["code_that_ran"] or result["refused"] != result["tried"]:
        sys.exit("error: not every file was refused by its name")


if __name__ == "__main__":
    main()
