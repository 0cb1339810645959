"""train_net.py, but for the process of rank 1: at the start of iteration 3 it gets the signal that
the environment variable MORTAL_SIGNAL names, or SIGKILL, and the moment is written to
OUTPUT_DIR/stricken_at.
"""

import os
import signal
import time
from pathlib import Path

from detectron2.utils import comm

import train_net
from tadistill.engine import TADistillTrainer, argument_parser, launch, started_by_torchrun

SIGNAL = signal.Signals[os.environ.get("MORTAL_SIGNAL", "SIGKILL")]


class MortalTrainer(TADistillTrainer):
    def run_step(self):
        if (comm.get_rank(), self.iter) == (1, 3):
            Path(self.cfg.OUTPUT_DIR, "stricken_at").write_text(str(time.time()))
            os.kill(os.getpid(), SIGNAL)
        super().run_step()


def main(args):
    train_net.TADistillTrainer = MortalTrainer
    train_net.main(args)


if __name__ == "__main__":
    args = argument_parser().parse_args()
    if started_by_torchrun():
        main(args)
    else:
        launch(main, train_net.setup(args), args)
