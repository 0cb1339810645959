"""One training at a time in a folder."""

import errno
import fcntl
import os
from typing import IO

from ..errors import ConfigError
from ..notices import Notice

LOCK = "training.lock"

_held: dict[str, tuple[int, IO]] = {}  # by path: whose process, and the file that it keeps open


def lock_directory(directory: str) -> Notice | None:
    """Keeps other trainings out of ``directory`` until this process ends.

    A lock of ``fcntl``, which a killed process does not leave behind, and which the workers of a
    data loader, who may outlive it by seconds, do not have.

    Returns:
        A warning, where the disk knows no locks or the file cannot be opened: it then goes without.

    Raises:
        ConfigError: naming ``OUTPUT_DIR``, if another process has it.
    """
    path = os.path.join(os.path.realpath(directory), LOCK)
    if _is_held(path):
        return None
    try:
        file = open(path, "a")  # noqa: SIM115
    except OSError as error:
        return _without_lock(directory, error)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            return _without_lock(directory, error)
        raise ConfigError(
            f"OUTPUT_DIR {directory} is that of a training that is at work ({LOCK} is locked): "
            "wait for it, or choose another OUTPUT_DIR"
        ) from error
    _held[path] = os.getpid(), file
    return None


def _is_held(path: str) -> bool:
    """By this very process, and not the one that it was forked from; and it is still that file."""
    pid, file = _held.get(path, (None, None))
    if pid != os.getpid() or not os.path.exists(path):
        return False
    return os.path.samestat(os.fstat(file.fileno()), os.stat(path))


def _without_lock(directory: str, error: OSError) -> Notice:
    return Notice(
        f"OUTPUT_DIR {directory} is not locked: another training could write there ({error})",
        warns=True,
    )
