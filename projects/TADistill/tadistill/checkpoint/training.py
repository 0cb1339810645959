"""The checkpoints of a training: written whole, and read back from the newest that is whole."""

import logging
import os
import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from detectron2.utils import comm

from ..errors import ConfigError, first_few
from ..files import written_whole
from .checkpointer import TADistillCheckpointer
from .errors import UnreadableFileError, UnsafeFileError
from .mismatch import describe_mismatch
from .places import fetched
from .torch_files import read_torch

logger = logging.getLogger(__name__)

_NAME = re.compile(r"model_(\d+|final)\.pth")  # as Detectron2's PeriodicCheckpointer names them


class TrainingCheckpointer(TADistillCheckpointer):
    """For a training that may be killed at any moment."""

    _resumes = False

    def resume_or_load(self, path: str, *, resume: bool = True) -> dict:
        """As fvcore's ``Checkpointer.resume_or_load``; but a training goes on from its own
        checkpoint alone, of which nothing is left out.

        Raises:
            ConfigError: naming ``--resume`` or ``MODEL.WEIGHTS`` and the file, if it cannot be
                read, or if a checkpoint is not a training's, is another model's or optimizer's, or
                is not the one that all processes of a distributed training find.
        """
        if resume:
            with _naming("--resume"):
                last = self._last_of_all_processes()
                if last:
                    return self._go_on_from(last)
        with _naming("MODEL.WEIGHTS"):
            if path and "?" not in path:  # a query is Detectron2 main's to take off
                fetched(path)
            return super().resume_or_load(path, resume=False)

    def _last_of_all_processes(self) -> str:
        """:meth:`get_checkpoint_file`, the same in each: machines that do not share the folder
        would each train a model of their own.
        """
        last, problem = "", None
        try:
            last = self.get_checkpoint_file()
        except ConfigError as error:
            problem = error
        # What is wrong in one process is not raised before the others know: they would wait for it.
        found = comm.all_gather(os.path.basename(last) or ("none is whole" if problem else "none"))
        if len(set(found)) > 1:
            listed = first_few([f"process {rank}: {name}" for rank, name in enumerate(found)])
            raise ConfigError(
                f"not all processes find the same checkpoint in OUTPUT_DIR {self.save_dir} "
                f"({listed}): it must be on a disk that all machines share"
            )
        if problem:
            raise problem
        return last

    def _go_on_from(self, path: str) -> dict:
        self._resumes = True
        try:
            return self.load(path)
        except (UnsafeFileError, UnreadableFileError):
            raise
        except ValueError as error:
            raise ConfigError(
                f"{path} cannot be gone on from: {error}\nUndo what was changed in the config "
                "(OUTPUT_DIR has it as it was, config_before_*.yaml), or begin another "
                f"training in another OUTPUT_DIR, with MODEL.WEIGHTS {path}"
            ) from error
        finally:
            self._resumes = False

    def _load_file(self, filename: str) -> dict:
        checkpoint = super()._load_file(filename)
        lacking = [name for name in self.checkpointables if name not in checkpoint]
        if self._resumes and lacking:
            raise ConfigError(f"it holds weights, but no state of a training ({lacking[0]!r})")
        return checkpoint

    def _load_model(self, checkpoint: dict):
        incompatible = super()._load_model(checkpoint)
        if self._resumes and (mismatch := _mismatch(incompatible)):
            raise ConfigError(f"it is of another model.\n{mismatch}")
        return incompatible

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

    def check_states(self) -> None:
        """Whether what :meth:`save` would write beside the weights can be read again: Detectron2
        keeps the ``state_dict()`` of any hook, whatever is in it.

        Raises:
            ConfigError: naming the hook, and what in its state is no plain data.
        """
        for owner, state in self._states():
            if problem := _why_not_read_again(state):
                raise ConfigError(
                    "the training could not be resumed from its own checkpoints: the state of "
                    f"{owner} {problem}. Let its state_dict() return numbers, strings, tensors, "
                    "lists and dictionaries"
                )

    def _states(self) -> Iterator[tuple[str, object]]:
        """Those of the checkpointables, of a trainer by the hook; without the optimizer's, which is
        large, and tensors alone.
        """
        for name, part in self.checkpointables.items():
            state = part.state_dict()
            if not isinstance(state, dict):
                yield name, state
                continue
            yield from state.get("hooks", {}).items()
            yield name, {k: v for k, v in state.items() if k not in ("hooks", "_trainer")}

    def tag_last_checkpoint(self, last_filename_basename: str) -> None:
        with written_whole(os.path.join(self.save_dir, "last_checkpoint"), "w") as file:
            file.write(last_filename_basename)

    def has_checkpoint(self) -> bool:
        return any(os.path.isfile(path) for path in self._candidates())

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
        paths = [
            entry.path
            for entry in os.scandir(self.save_dir)
            if _NAME.fullmatch(entry.name) and entry.is_file()  # and no link that leads nowhere
        ]
        paths.sort(key=lambda path: (os.path.getmtime(path), path), reverse=True)
        if super().has_checkpoint():
            named = super().get_checkpoint_file()
            paths = [named, *(path for path in paths if path != named)]
        return paths


@contextmanager
def _naming(source: str) -> Iterator[None]:
    """What asked for the file, in front of what is wrong with it."""
    try:
        yield
    except ConfigError as error:
        raise type(error)(f"{source}: {error}") from error


def _why_not_read_again(state) -> str | None:
    """What keeps a state from being saved and read; None if nothing does."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "state.pth")
        try:
            torch.save(state, path)
            read_torch(path)
        except UnsafeFileError as error:
            return f"asks for {error.name}, which only code can make"
        except Exception as error:  # pickle fails in many ways at what it cannot take
            return f"cannot be saved ({type(error).__name__}: {error})"
    return None


def _mismatch(incompatible) -> str:
    """Without the balance's scales, which are measured anew where they are not found."""
    misshapen = {name for name, *_ in incompatible.incorrect_shapes}
    surplus, missing = (
        [key for key in keys if not key.startswith("balance.") and key not in misshapen]
        for keys in (incompatible.unexpected_keys, incompatible.missing_keys)
    )
    return describe_mismatch(surplus, missing, incompatible.incorrect_shapes)


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
