"""The checkpoints of a training: written whole, and read back from the newest that is whole."""

import logging
import os
import re
import zipfile

import torch

from ..errors import ConfigError
from ..files import written_whole
from .checkpointer import TADistillCheckpointer

logger = logging.getLogger(__name__)

_NAME = re.compile(r"model_(\d+|final)\.pth")  # as Detectron2's PeriodicCheckpointer names them


class TrainingCheckpointer(TADistillCheckpointer):
    """For a training that may be killed at any moment."""

    def save(self, name: str, **kwargs) -> None:
        """As fvcore's ``Checkpointer.save``, whole or not at all.

        Raises:
            OSError: if the file cannot be written; see :func:`tadistill.files.written_whole`.
        """
        if not self.save_dir or not self.save_to_disk:
            return
        states = {key: part.state_dict() for key, part in self.checkpointables.items()}
        path = os.path.join(self.save_dir, f"{name}.pth")
        logger.info("Saving checkpoint to %s", path)
        with written_whole(path) as file:
            torch.save({"model": self.model.state_dict(), **states, **kwargs}, file)
        self.tag_last_checkpoint(f"{name}.pth")

    def tag_last_checkpoint(self, last_filename_basename: str) -> None:
        with written_whole(os.path.join(self.save_dir, "last_checkpoint"), "w") as file:
            file.write(last_filename_basename)

    def has_checkpoint(self) -> bool:
        return bool(self._candidates())

    def get_checkpoint_file(self) -> str:
        """The checkpoint that ``last_checkpoint`` names if it is whole, or else the newest that is.

        Raises:
            ConfigError: naming the files, if there are checkpoints but none is whole.
        """
        candidates = self._candidates()
        for path in candidates:
            problem = _why_not_whole(path)
            if problem is None:
                return path
            logger.warning("The checkpoint %s is not whole: %s", path, problem)
        if candidates:
            raise ConfigError(
                f"no checkpoint in OUTPUT_DIR {self.save_dir} is whole "
                f"({', '.join(os.path.basename(path) for path in candidates)}); start again in "
                "another OUTPUT_DIR"
            )
        return ""

    def _candidates(self) -> list[str]:
        """The checkpoints of this folder, the first to try first: the one that is named, then from
        new to old.
        """
        if not os.path.isdir(self.save_dir):
            return []
        paths = [entry.path for entry in os.scandir(self.save_dir) if _NAME.fullmatch(entry.name)]
        paths.sort(key=lambda path: (os.path.getmtime(path), path), reverse=True)
        if super().has_checkpoint():
            named = super().get_checkpoint_file()
            paths = [named, *(path for path in paths if path != named)]
        return paths


def _why_not_whole(path: str) -> str | None:
    """What is wrong with a file that ``save`` wrote; None if nothing is. Reads all of it."""
    try:
        with open(path, "rb") as file:
            if file.read(4) not in (b"", b"PK\3\4"):
                return None  # not of ``save``: loading it will tell
        with zipfile.ZipFile(path) as archive:  # which torch.save writes, with checksums
            damaged = archive.testzip()
    except (OSError, zipfile.BadZipFile) as error:
        return str(error)
    return f"its part {damaged} is damaged" if damaged else None
