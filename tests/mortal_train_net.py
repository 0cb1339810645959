"""train_net.py, but for the process of rank 1: at the start of iteration 3 it gets a signal, by
default SIGKILL, and the moment is written to OUTPUT_DIR/stricken_at.

python mortal_train_net.py [SIGSTOP] --num-gpus 2 …
torchrun --nproc-per-node 2 mortal_train_net.py …
"""

import os
import signal
import sys
import time
from pathlib import Path

from detectron2.utils import comm

import train_net
from tadistill.engine import TADistillTrainer, argument_parser, launch, started_by_torchrun

SIGNAL = signal.Signals[sys.argv.pop(1)] if sys.argv[1].startswith("SIG") else signal.SIGKILL


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
