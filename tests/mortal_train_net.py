"""train_net.py, but for the process of rank 1: it is killed at the start of iteration 3."""

import os
import signal

from detectron2.utils import comm

import train_net
from tadistill.engine import TADistillTrainer, argument_parser

_run_step = TADistillTrainer.run_step


def run_step(trainer):
    if (comm.get_rank(), trainer.iter) == (1, 3):
        os.kill(os.getpid(), signal.SIGKILL)
    _run_step(trainer)


if __name__ == "__main__":
    TADistillTrainer.run_step = run_step
    train_net.main(argument_parser().parse_args())
