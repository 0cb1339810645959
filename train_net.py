#!/usr/bin/env python
"""Train, distill and evaluate: the script that a user of Detectron2 expects.

python train_net.py --config-file configs/…/distilled.yaml            # train
python train_net.py --config-file … --eval-only MODEL.WEIGHTS …       # AP of the student
python train_net.py --config-file … --eval-teacher                    # AP of the teacher
"""

import os
import sys

from detectron2.config import get_cfg
from detectron2.engine import default_setup, launch
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger

from tadistill import add_tadistill_config
from tadistill.engine import (
    TADistillTrainer,
    argument_parser,
    check_before_launch,
    check_before_training,
    claim_run_directory,
    evaluate_student,
    evaluate_teacher,
    free_directory,
    register_coco,
)
from tadistill.errors import ConfigError
from tadistill.merging import merge_file, merge_opts


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
    name = "eval_teacher" if args.eval_teacher else "eval"
    cfg.OUTPUT_DIR = free_directory(os.path.join(run_dir, name))
    cfg.freeze()
    start_logging(cfg, args)
    if args.eval_teacher:
        return evaluate_teacher(cfg)
    return evaluate_student(cfg, checkpoint_dir=run_dir, resume=args.resume)


def main(args):
    """What each process runs. Returns the evaluation's results."""
    cfg = setup(args)
    if args.eval_only or args.eval_teacher:
        return evaluate(cfg, args)

    cfg.freeze()
    check_before_training(cfg)
    claim_run_directory(cfg, args.resume)
    start_logging(cfg, args)
    trainer = TADistillTrainer(cfg)
    trainer.resume_or_load(resume=args.resume)
    return trainer.train()


if __name__ == "__main__":
    args = argument_parser().parse_args()
    try:
        if args.num_gpus * args.num_machines > 1:
            # Here an error is one line; out of one of many processes it is a page.
            check_before_launch(setup(args), args)
        launch(
            main,
            args.num_gpus,
            num_machines=args.num_machines,
            machine_rank=args.machine_rank,
            dist_url=args.dist_url,
            args=(args,),
        )
    except ConfigError as error:
        sys.exit(f"error: {error}")
