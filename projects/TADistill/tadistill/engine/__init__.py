"""What train_net.py is made of: arguments, checks before the first step, processes, the trainer."""

from .arguments import argument_parser
from .checks import check_before_launch, check_before_training
from .evaluation import evaluate_student, evaluate_teacher
from .optimizer import build_optimizer
from .processes import joined_by_torchrun, launch, started_by_torchrun
from .run_directory import check_writable, claim_run_directory, free_directory
from .trainer import TADistillTrainer

__all__ = [
    "TADistillTrainer",
    "argument_parser",
    "build_optimizer",
    "check_before_launch",
    "check_before_training",
    "check_writable",
    "claim_run_directory",
    "evaluate_student",
    "evaluate_teacher",
    "free_directory",
    "joined_by_torchrun",
    "launch",
    "started_by_torchrun",
]
