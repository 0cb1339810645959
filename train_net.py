#!/usr/bin/env python
"""Train, distill and evaluate: the script that a user of Detectron2 expects.

python train_net.py --config-file configs/…/distilled.yaml            # train
python train_net.py --config-file … --eval-only MODEL.WEIGHTS …       # AP of the student
python train_net.py --config-file … --eval-teacher                    # AP of the teacher

In several processes: --num-gpus 8, or torchrun --nproc-per-node 8 train_net.py --config-file …
"""

import os
import sys

from detectron2.config import get_cfg
from detectron2.engine import default_setup
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger

from tadistill import add_tadistill_config
from tadistill.data import register_coco
from tadistill.engine import (
    TADistillTrainer,
    argument_parser,
    check_before_launch,
    check_before_training,
    check_writable,
    claim_run_directory,
    evaluate_student,
    evaluate_teacher,
    free_directory,
    joined_by_torchrun,
    launch,
    started_by_torchrun,
)
from tadistill.errors import ConfigError
from tadistill.merging import merge_file, merge_opts
from tadistill.notices import log_notices


def setup(args):
    """The datasets of the command line, and the config: the file, then the overrides."""
    register_coco(args.register_coco)
    cfg = get_cfg()
    add_tadistill_config(cfg)
    if args.config_file:
        merge_file(cfg, args.config_file, "--config-file")
    merge_opts(cfg, args.opts, "the end of the command line")
    return cfg


def start_logging(cfg, args):
    """Detectron2's setup (log, seeds, the full config in OUTPUT_DIR), and our own log lines."""
    default_setup(cfg, args)
    setup_logger(cfg.OUTPUT_DIR, distributed_rank=comm.get_rank(), name="tadistill")


def evaluate(cfg, args):
    """AP of the student or of the teacher, in a folder of its own: what the training and earlier
    evaluations wrote stays as it is.
    """
    run_dir = cfg.OUTPUT_DIR
    check_writable(run_dir)
    name = "eval_teacher" if args.eval_teacher else "eval"
    cfg.OUTPUT_DIR = free_directory(os.path.join(run_dir, name))
    cfg.freeze()
    start_logging(cfg, args)
    if args.eval_teacher:
        return evaluate_teacher(cfg)
    return evaluate_student(cfg, checkpoint_dir=run_dir, resume=args.resume)


def train(cfg, args):
    """The training of one process, and the evaluation that ends it."""
    cfg.freeze()
    notices = check_before_training(cfg, comm.get_world_size(), args.resume)
    notices += claim_run_directory(cfg, args.resume)
    start_logging(cfg, args)
    log_notices(notices)
    trainer = TADistillTrainer(cfg)
    trainer.resume_or_load(resume=args.resume)
    return trainer.train()


def main(args):
    """What each process runs. Returns the evaluation's results."""
    cfg = setup(args)
    with joined_by_torchrun(cfg, args):
        if args.eval_only or args.eval_teacher:
            return evaluate(cfg, args)
        return train(cfg, args)


if __name__ == "__main__":
    args = argument_parser().parse_args()
    try:
        if started_by_torchrun() or args.num_gpus * args.num_machines <= 1:
            main(args)
        else:
            cfg = setup(args)
            # Said once here, and not by each of the processes.
            check_before_launch(cfg, args)
            launch(main, cfg, args)
    except ConfigError as error:
        sys.exit(f"error: {error}")
