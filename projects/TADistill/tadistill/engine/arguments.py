"""Detectron2's command line, with two arguments more."""

import argparse

from detectron2.engine import default_argument_parser


def argument_parser() -> argparse.ArgumentParser:
    """``--config-file``, ``--eval-only``, ``--resume``, ``--num-gpus``… as everywhere in
    Detectron2, and ``--eval-teacher`` and ``--register-coco``.
    """
    parser = default_argument_parser()
    parser.add_argument(
        "--eval-teacher",
        action="store_true",
        help="evaluate the teacher on DATASETS.TEST, at the student's image size, and stop",
    )
    parser.add_argument(
        "--register-coco",
        nargs=3,
        action="append",
        default=[],
        metavar=("NAME", "JSON", "IMAGE_DIR"),
        help="register a dataset in COCO format under NAME, for DATASETS.TRAIN or DATASETS.TEST; "
        "may be given more than once",
    )
    return parser
