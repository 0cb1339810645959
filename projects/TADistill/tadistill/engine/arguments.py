"""Detectron2's command line, with three arguments more."""

import argparse
import math

from detectron2.engine import default_argument_parser
from detectron2.engine.launch import DEFAULT_TIMEOUT

from ..data import add_registration


class _Parser(argparse.ArgumentParser):
    """Says so when an argument comes too late to be one: Detectron2's parser takes all that
    follows the first config key for keys and values.
    """

    def parse_args(self, args=None, namespace=None):
        parsed = super().parse_args(args, namespace)
        late = [word for word in parsed.opts if word.split("=")[0] in self._option_string_actions]
        if late:
            self.error(f"{late[0]} comes after the config keys; put it before them")
        return parsed


def argument_parser() -> argparse.ArgumentParser:
    """``--config-file``, ``--eval-only``, ``--resume``, ``--num-gpus``… as everywhere in
    Detectron2, and ``--eval-teacher``, ``--register-coco`` and ``--dist-timeout``.
    """
    stock = default_argument_parser()
    parser = _Parser(
        parents=[stock], add_help=False, epilog=stock.epilog, formatter_class=stock.formatter_class
    )
    parser.add_argument(
        "--eval-teacher",
        action="store_true",
        help="evaluate the teacher on DATASETS.TEST, at the student's image size, and stop",
    )
    add_registration(
        parser,
        "register a dataset in COCO format under NAME, for DATASETS.TRAIN or DATASETS.TEST; "
        "may be given more than once",
    )
    parser.add_argument(
        "--dist-timeout",
        type=_seconds,
        default=DEFAULT_TIMEOUT.total_seconds(),
        metavar="SECONDS",
        help="of several processes: how long one waits for the others, at the start and at each "
        "exchange, before it gives up (default: %(default)g). More than the longest evaluation "
        "takes to score, for which all wait. On GPUs Detectron2's exchange of results has "
        "half an hour, whatever is said here",
    )
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds above zero")
    return seconds
