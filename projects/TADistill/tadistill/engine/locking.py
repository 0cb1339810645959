"""One training at a time in a folder."""

import errno
import fcntl
import logging
import os
from typing import IO

from ..errors import ConfigError

LOCK = "training.lock"

logger = logging.getLogger(__name__)
_held: dict[str, IO] = {}  # by folder; until this process ends, however it does


def lock_directory(directory: str) -> None:
    """Keeps other trainings out of ``directory`` until this process ends.

    A lock of ``fcntl``, which a killed process does not leave behind, and which the workers of a
    data loader, who may outlive it by seconds, do not have. A disk that knows no locks is used
    without one.

    Raises:
        ConfigError: naming ``OUTPUT_DIR``, if another process has it.
    """
    key = os.path.realpath(directory)
    if key in _held:
        return
    file = open(os.path.join(directory, LOCK), "a")  # noqa: SIM115
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise ConfigError(
                f"OUTPUT_DIR {directory} is that of a training that is at work ({LOCK} is locked): "
                "wait for it, or choose another OUTPUT_DIR"
            ) from error
        logger.warning("OUTPUT_DIR %s is not locked: %s", directory, error)
        return
    _held[key] = file
