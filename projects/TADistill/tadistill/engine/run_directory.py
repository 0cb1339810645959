"""OUTPUT_DIR: one run, and nothing of an earlier one lost."""

import filecmp
import glob
import os
import shutil
import tempfile

from detectron2.config import CfgNode
from detectron2.utils import comm

from ..checkpoint import TrainingCheckpointer
from ..errors import ConfigError, first_few
from ..notices import Notice
from .locking import lock_directory

_TRACES = ("last_checkpoint", "metrics.json", "*.pth")


def claim_run_directory(cfg: CfgNode, resume: bool) -> list[Notice]:
    """Makes sure that a training does not write over another one, nor beside one that is at work.

    A config that is there, of a run that is resumed or written by hand, is kept beside the new one.

    Returns:
        What there is to say of it, for the log, which is not open yet.

    Raises:
        ConfigError: see :func:`check_run_directory`; in each process of a distributed training,
            and before any of them has written there.
    """
    problem = notice = None
    if comm.is_main_process():
        try:
            check_writable(cfg.OUTPUT_DIR)
            notice = lock_directory(cfg.OUTPUT_DIR)
            check_run_directory(cfg, resume)
        except ConfigError as error:
            problem = str(error)
    problem = comm.all_gather(problem)[0]
    if problem:
        raise ConfigError(problem)
    if comm.is_main_process():
        _keep_config(cfg.OUTPUT_DIR, "resume" if resume else "start")
        if resume:
            _end_last_line(os.path.join(cfg.OUTPUT_DIR, "metrics.json"))
    return [notice] if notice else []


def check_run_directory(cfg: CfgNode, resume: bool) -> None:
    """The directory can be written to, and is made if need be. Without ``resume`` it must not hold
    a run. With it, a run there must have a checkpoint to go on from.

    Raises:
        ConfigError: naming ``OUTPUT_DIR`` and what lies there.
    """
    directory = cfg.OUTPUT_DIR
    check_writable(directory)
    found = _traces_of_a_run(directory)
    can_go_on = TrainingCheckpointer(None, directory).has_checkpoint()
    if not resume and found:
        advice = "Continue it with --resume, or choose" if can_go_on else "Choose"
        raise ConfigError(
            f"OUTPUT_DIR {directory} holds a run already ({first_few(found)}). {advice} another "
            "OUTPUT_DIR"
        )
    weights = [name for name in found if name.endswith(".pth")]
    if resume and weights and not can_go_on:
        raise ConfigError(
            f"OUTPUT_DIR {directory} holds {first_few(weights)}, but no checkpoint of a training "
            "(model_*.pth) that --resume could go on from; choose another OUTPUT_DIR"
        )


def check_writable(directory: str) -> None:
    """Whether ``OUTPUT_DIR`` can be written to; made if need be.

    Raises:
        ConfigError: naming it.
    """
    try:
        os.makedirs(directory, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise ConfigError(f"OUTPUT_DIR {directory} cannot be written to: {error}") from error


def free_directory(path: str) -> str:
    """``path``, ``path_2``, ``path_3``…: the first that does not exist; one for all ranks."""
    number, free = 1, path
    while os.path.exists(free):
        number += 1
        free = f"{path}_{number}"
    return comm.all_gather(free)[0]


def _traces_of_a_run(directory: str) -> list[str]:
    found = [
        path
        for trace in _TRACES
        for path in sorted(glob.glob(os.path.join(glob.escape(directory), trace)))
    ]
    # A start that failed leaves an empty metrics.json. A link may lead nowhere.
    return [os.path.basename(p) for p in found if os.path.islink(p) or os.path.getsize(p) > 0]


def _keep_config(directory: str, event: str) -> None:
    """A copy: the file itself may be the ``--config-file``, which Detectron2 is yet to read. One
    that is kept already, as after a start that failed, is not kept again.
    """
    path = os.path.join(directory, "config.yaml")
    kept = glob.glob(os.path.join(glob.escape(directory), "config_before_*.yaml"))
    if not os.path.isfile(path) or any(filecmp.cmp(path, other, shallow=False) for other in kept):
        return
    number = 1
    while os.path.exists(copy := os.path.join(directory, f"config_before_{event}_{number}.yaml")):
        number += 1
    shutil.copyfile(path, copy)


def _end_last_line(path: str) -> None:
    """Detectron2 goes on writing where the file ends, which may be in the middle of a line."""
    if os.path.isfile(path) and os.path.getsize(path) > 0:
        with open(path, "rb+") as file:
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.write(b"\n")
