"""Takes the student out of a training checkpoint, for stock Detectron2.

A finished training has left ``student_final.pth`` and ``student_final.yaml`` already; this is for
its other checkpoints.

    python export_student.py RUN_DIR/model_0004999.pth [--config-file RUN_DIR/config.yaml]
        [--output RUN_DIR] [--name model_0004999_student]
"""

import argparse
import os
import sys

from detectron2.config import get_cfg

from tadistill import add_tadistill_config
from tadistill.engine.evaluation import load_student
from tadistill.errors import ConfigError
from tadistill.export import export_student
from tadistill.merging import merge_file


def main(args: argparse.Namespace) -> None:
    """Builds the student, loads all of it, and writes it alone."""
    directory, file_name = os.path.split(args.checkpoint)
    output = args.output or directory or "."
    name = args.name or f"{os.path.splitext(file_name)[0]}_student"
    for ending in (".pth", ".yaml"):
        path = os.path.join(output, name + ending)
        if os.path.exists(path):
            raise ConfigError(f"--name {name}: {path} exists already; choose another name")

    cfg = get_cfg()
    add_tadistill_config(cfg)
    config_file = args.config_file or os.path.join(directory, "config.yaml")
    merge_file(cfg, config_file, "--config-file")
    on_cpu = cfg.clone()
    on_cpu.MODEL.DEVICE = "cpu"
    student = load_student(on_cpu, args.checkpoint, "CHECKPOINT")
    print(*export_student(student, cfg, output, name), sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("checkpoint")
    parser.add_argument("--config-file", help="the config.yaml beside the checkpoint if left out")
    parser.add_argument("--output", help="a folder; the checkpoint's if left out")
    parser.add_argument("--name", help="of the two files; CHECKPOINT_student if left out")
    try:
        main(parser.parse_args())
    except (ConfigError, OSError) as error:  # of a full disk, say
        sys.exit(f"error: {error}")
