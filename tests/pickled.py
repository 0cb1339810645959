"""Pickles as Python 2 and other versions of numpy wrote them."""

import pickle

import numpy as np


def by_python2(values: np.ndarray) -> bytes:
    """A dictionary with the one key ``"weight"``, as Caffe2's zoo has: all strings are bytes."""
    shape = b"".join(b"K" + bytes([length]) for length in values.shape)
    data = values.tobytes()
    return (
        b"\x80\x02}U\x06weight"
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01(" + shape + b"tcnumpy\ndtype\nU\x02f4K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"T" + len(data).to_bytes(4, "little") + data + b"tbs."
    )


def by_numpy(version: int, content) -> bytes:
    """Protocol 2, with the names that numpy 1 or 2 has for its functions."""
    written = pickle.dumps(content, 2).replace(b"numpy._core.", b"numpy.core.")
    return written if version == 1 else written.replace(b"numpy.core.", b"numpy._core.")
