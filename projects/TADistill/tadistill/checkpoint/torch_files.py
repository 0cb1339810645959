"""Files of ``torch.save``, read with ``weights_only``."""

import io
import logging
import pickle
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

from .arrays import STAND_INS, resolve
from .errors import UnreadableFileError, UnsafeFileError, UnsafeGlobal
from .pickles import ArrayUnpickler


def read_torch(path: str):
    """The content of a file of ``torch.save``, on the CPU.

    ``weights_only`` admits tensors and plain containers; numpy's arrays and scalars, which older
    training checkpoints have, are admitted beside them.

    Raises:
        UnsafeFileError: if it asks for anything else, or is an archive of a kind that torch
            before 2.6 ran code of, ``weights_only`` or not (CVE-2025-32434).
        UnreadableFileError: if it is cut short or no file of torch.
    """
    _warn_of_old_torch()
    if _is_torchscript(path):
        raise UnsafeFileError(
            f"{path} was refused, and nothing of it was run: it is a TorchScript archive, which "
            "is a program. Save the weights alone: torch.save(module.state_dict(), 'weights.pth')"
        )
    if tarfile.is_tarfile(path):
        raise UnsafeFileError(
            f"{path} was refused, and nothing of it was run: it is a tar archive, as torch wrote "
            "before 0.2. If you trust it, load it and save it again"
        )
    try:
        with _admitting_only(_NUMPY):
            return resolve(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as e:  # pickle, zip and torch each fail in their own way on a broken file
        name = _unsafe_global(path)
        if name:
            raise UnsafeFileError.naming(path, name) from e
        raise UnreadableFileError.because(path, _without_advice(e)) from e


def _stand_in_called(full_name: str) -> type:
    module, _, name = full_name.rpartition(".")
    return type(name, (STAND_INS[full_name],), {"__module__": module})


# torch goes by the name that a class bears; torch before 2.6 cannot be told another one.
_NUMPY = [_stand_in_called(name) for name in STAND_INS]


@contextmanager
def _admitting_only(classes: list[type]) -> Iterator[None]:
    """``weights_only`` with ``classes``, and without what other code has marked as safe."""
    before = list(torch.serialization.get_safe_globals())  # torch 2.4 gives its own list
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(classes)
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _is_torchscript(path: str) -> bool:
    # torch's own reader: another one could be shown other records of the same archive.
    try:
        return torch._C.PyTorchFileReader(path).has_record("constants.pkl")
    except RuntimeError:
        return False


@cache
def _warn_of_old_torch() -> None:
    if tuple(int(number) for number in torch.__version__.split(".")[:2]) < (2, 10):
        logging.getLogger(__name__).warning(
            "torch %s has a known hole in weights_only (CVE-2026-24747, mended in 2.10): open "
            "only .pth files that you trust, or .safetensors and .pkl",
            torch.__version__,
        )


def _without_advice(error: Exception) -> Exception:
    """torch's refusals begin with how to switch the safety off."""
    reason = re.search(r"WeightsUnpickler error:\s*(.+)", str(error))
    return pickle.UnpicklingError(reason[1]) if reason else error


class _TorchNames(ArrayUnpickler):
    """Says what a refused file asks for; torch does not for all of them."""

    def find_class(self, module, name):
        if (
            (module == "torch._utils" and name.startswith("_rebuild_"))
            or (module in ("torch", "torch.storage") and name.endswith("Storage"))
            or (module == "torch" and isinstance(getattr(torch, name, None), torch.dtype))
            or (module, name) in (("torch", "Size"), ("torch", "device"))
        ):
            return _nothing
        return super().find_class(module, name)

    def persistent_load(self, pid):
        return None


def _nothing(*args) -> None:
    """In place of a tensor."""


def _unsafe_global(path: str) -> str | None:
    """The first name in ``path`` that is neither a tensor's nor an array's, if it can be told."""
    try:
        try:
            stream = io.BytesIO(torch._C.PyTorchFileReader(path).get_record("data.pkl"))
        except RuntimeError:  # no zip archive: torch's older format, or a pickle under that name
            stream = open(path, "rb")  # noqa: SIM115
        with stream:
            while True:  # the older format is several pickles in a row
                _TorchNames(stream, encoding="latin1").load()
    except UnsafeGlobal as e:
        return e.name
    except Exception:  # the end, or tensors' bytes; this only serves a message
        return None
