"""Files that are either whole or not there."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import IO

PARTIAL = ".partial"  # what the name of a file ends in while it is being written


@contextlib.contextmanager
def written_whole(path: str, mode: str = "wb") -> Iterator[IO]:
    """A file to write, which takes the place of ``path`` once all of it is on the disk.

    Until then it is ``path + ".partial"``, and what ``path`` was stays. A process that is killed
    leaves either the one or the other behind.

    Raises:
        OSError: naming the file, what went wrong and what is free on its disk, if it cannot be
            written. Nothing is left of it then.
    """
    partial = path + PARTIAL
    try:
        with open(partial, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:  # torch's writer says RuntimeError of a full disk
        with contextlib.suppress(OSError):
            os.remove(partial)
        raise OSError(
            f"{path} cannot be written ({_free_space(path)}): {error}. What was there before is "
            "untouched"
        ) from error


def _free_space(path: str) -> str:
    try:
        return f"{shutil.disk_usage(os.path.dirname(path) or '.').free / 2**20:.0f} MiB free"
    except OSError:
        return "its folder is gone"
