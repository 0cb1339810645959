"""Numpy's arrays, scalars and dtypes out of a pickle, without numpy's own unpickling.

That is made for one's own files: an array of objects may hold any object, and the state of a dtype
is believed. What a file asks for is answered by a stand-in here, which takes numbers, booleans and
text of a stated size; :func:`resolve` then puts arrays and dtypes in the stand-ins' places.
"""

import math
import pickle
import re
from collections import OrderedDict

import numpy as np

from .errors import UnsafeGlobal

# Booleans, integers, floats, complex numbers, bytes and text, with their size.
_PLAIN_DTYPE = re.compile(r"[biufcSU]\d+")


class StandIn:
    """What a pickle gets in place of a function or class.

    All are classes with a ``__setstate__``: without, pickle's BUILD would set any attribute of
    them, and they outlive the file.
    """

    def __setstate__(self, state):
        raise pickle.UnpicklingError(f"{type(self).__name__} has no state")


class Dtype(StandIn):
    """For ``numpy.dtype``."""

    def __init__(self, name, align=False, copy=True):
        name = name.decode("latin1") if isinstance(name, bytes) else str(name)
        if not _PLAIN_DTYPE.fullmatch(name):
            raise UnsafeGlobal(f"numpy.dtype({name!r})")
        self.value = np.dtype(name)

    def __setstate__(self, state):
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        self.value = self.value.newbyteorder(order)


class Array(StandIn):
    """For ``numpy.ndarray``, of which a pickle makes an empty one and then sets the state."""

    value = None

    def __setstate__(self, state):
        _, shape, dtype, column_major, data = state
        self.value = _array(data, dtype, shape, "F" if column_major else "C")


class Reconstruct(StandIn):
    """For ``_reconstruct(numpy.ndarray, (0,), b"b")``."""

    def __new__(cls, kind, shape, code):
        return kind()


class FromBuffer(StandIn):
    """For ``_frombuffer``, which is how protocol 5 has contiguous arrays."""

    def __new__(cls, data, dtype, shape, order="C"):
        return _array(data, dtype, shape, order)


class Scalar(StandIn):
    """For ``scalar``."""

    def __new__(cls, dtype, data):
        return _array(data, dtype, (), "C")[()]


class Bytes(StandIn):
    """For ``bytes()``, which is how protocols 0 to 2 have empty bytes."""

    def __new__(cls):
        return b""


class Encode(StandIn):
    """For ``_codecs.encode``, which is how protocols 0 to 2 have other bytes."""

    def __new__(cls, text, encoding):
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"bytes encoded as {encoding!r}")
        return text.encode("latin1")


# Numpy 2 renamed numpy.core: a file may have either name, whichever numpy reads it.
STAND_INS = {
    "builtins.bytes": Bytes,
    "_codecs.encode": Encode,
    "numpy.dtype": Dtype,
    "numpy.ndarray": Array,
    **{
        f"numpy.{core}.{name}": stand_in
        for core in ("core", "_core")
        for name, stand_in in (
            ("multiarray._reconstruct", Reconstruct),
            ("multiarray.scalar", Scalar),
            ("numeric._frombuffer", FromBuffer),
        )
    },
}


def resolve(data):
    """``data`` with arrays and dtypes in their stand-ins' places.

    Dictionaries and lists are changed in place, so that what a file shares stays shared.
    """
    seen = {}

    def visit(node):
        if id(node) in seen:
            return seen[id(node)][1]
        result = node
        if isinstance(node, (Array, Dtype)):
            result = node.value
        elif isinstance(node, tuple) and type(node) is tuple:
            result = tuple(visit(item) for item in node)
        # The node is kept too: an id is only unique as long as its object lives.
        seen[id(node)] = node, result
        if type(node) in (dict, OrderedDict):
            for key, value in node.items():
                node[key] = visit(value)
        elif type(node) is list:
            node[:] = [visit(item) for item in node]
        return result

    return visit(data)


def _array(data, dtype, shape, order) -> np.ndarray:
    if not isinstance(dtype, Dtype):
        raise pickle.UnpicklingError(f"an array whose dtype is a {type(dtype).__name__}")
    if isinstance(data, str):  # of Python 2
        data = data.encode("latin1")
    if len(data) != math.prod(shape) * dtype.value.itemsize:
        raise pickle.UnpicklingError(f"{len(data)} bytes for a {dtype.value} array of {shape}")
    return np.ndarray(shape, dtype.value, bytes(data), order=order).copy()
