"""OUTPUT_DIR: one run, and nothing of an earlier one lost."""

import glob
import os

from detectron2.config import CfgNode
from detectron2.utils import comm

from ..errors import ConfigError

_TRACES = ("last_checkpoint", "metrics.json", "*.pth")


def claim_run_directory(cfg: CfgNode, resume: bool) -> None:
    """Makes sure that a training does not write over another one.

    Without ``resume`` the directory must not hold a run. With it, the config that the run was
    started with is kept beside the new one.

    Raises:
        ConfigError: naming ``OUTPUT_DIR`` and what lies there.
    """
    if not comm.is_main_process():  # which alone writes there
        return
    directory = cfg.OUTPUT_DIR
    if resume:
        _keep_config(directory)
        return
    found = [
        os.path.basename(path)
        for trace in _TRACES
        for path in sorted(glob.glob(os.path.join(glob.escape(directory), trace)))
    ]
    if found:
        raise ConfigError(
            f"OUTPUT_DIR {directory} holds a run already ({', '.join(found[:4])}"
            f"{', …' if len(found) > 4 else ''}). Continue it with --resume, or choose another "
            "OUTPUT_DIR"
        )


def _keep_config(directory: str) -> None:
    path = os.path.join(directory, "config.yaml")
    if os.path.isfile(path):
        number = 1
        while os.path.exists(
            kept := os.path.join(directory, f"config_before_resume_{number}.yaml")
        ):
            number += 1
        os.replace(path, kept)
