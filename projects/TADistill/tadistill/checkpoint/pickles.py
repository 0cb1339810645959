"""Pickles, as the model zoo's ``.pkl``: arrays and plain containers, and nothing that is called."""

import pickle
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict

from .arrays import STAND_INS, resolve
from .errors import UnreadableFileError, UnsafeFileError, UnsafeGlobal

ADMITTED = {"collections.OrderedDict": OrderedDict, **STAND_INS}


class ArrayUnpickler(pickle.Unpickler):
    """Knows nothing but :data:`ADMITTED`: a name is looked up there and never imported."""

    def find_class(self, module, name):
        module, name = _in_python3(module, name)
        full_name = f"{module}.{name}"
        if full_name not in ADMITTED:
            raise UnsafeGlobal(full_name)
        return ADMITTED[full_name]


def read_pickle(path: str):
    """The content of a ``.pkl`` file. Strings of Python 2 are read as latin1, as Detectron2 does.

    Raises:
        UnsafeFileError: if it asks for anything but numpy's arrays, scalars and dtypes.
        UnreadableFileError: if it is no whole pickle.
    """
    try:
        with open(path, "rb") as f:
            return resolve(ArrayUnpickler(f, encoding="latin1").load())
    except UnsafeGlobal as e:
        raise UnsafeFileError.naming(path, e.name) from e
    except Exception as e:  # bytes that are no pickle make it fail in many ways
        raise UnreadableFileError.because(path, e) from e


def _in_python3(module: str, name: str) -> tuple[str, str]:
    """Protocols 0 to 2 write the names that Python 2 had."""
    return NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
