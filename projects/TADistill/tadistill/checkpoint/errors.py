"""Why a weights file was not read."""

import pickle

from ..errors import ConfigError


class UnsafeFileError(ConfigError):
    """The file could run code. It was refused before anything of it ran.

    Attributes:
        name: of what it asks for; None of an archive that is refused as a whole.
    """

    name: str | None = None

    @classmethod
    def naming(cls, path: str, name: str) -> "UnsafeFileError":
        """For a pickle that asks for the function or class ``name``."""
        error = cls(
            f"{path} was refused, and nothing of it was run: it asks for {name}, which weights do "
            "not need and which may run code. If you trust the file, have its tensors saved alone "
            "where it was made: torch.save({'model': model.state_dict()}, 'weights.pth')"
        )
        error.name = name
        return error


class UnreadableFileError(ConfigError):
    """The file is cut short, broken, or holds something else than weights."""

    @classmethod
    def because(cls, path: str, reason: object) -> "UnreadableFileError":
        """For a file that could not be read because of ``reason``."""
        if isinstance(reason, Exception):  # torch's go on for a page
            first = (str(reason).splitlines() or [""])[0]
            reason = f"{type(reason).__name__}: {first}"
        return cls(f"{path} is not a checkpoint of Detectron2: {reason}")


class UnsafeGlobal(pickle.UnpicklingError):
    """A pickle asks for something that is not admitted; raised while it is being read."""

    def __init__(self, name: str):
        super().__init__(name)
        self.name = name
