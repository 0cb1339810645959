"""Arrays out of pickles: equal to what went in, and nothing that numpy would believe."""

import pickle
from collections import OrderedDict

import numpy as np
import pytest
from pickled import by_numpy, by_python2

from tadistill.checkpoint import UnreadableFileError, UnsafeFileError
from tadistill.checkpoint.arrays import Array, Dtype
from tadistill.checkpoint.pickles import read_pickle

ARRAYS = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "float16": np.arange(4, dtype=np.float16),
    "int64": np.array([-(2**62), 2**62]),
    "bool": np.array([[True], [False]]),
    "complex": np.array([1 + 2j]),
    "text": np.array(["a", "bcd"]),
    "bytes": np.array([b"a", b"bcd"]),
    "big endian": np.array([1.5, 2.5], dtype=">f8"),
    "column major": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(24.0).reshape(4, 6)[::2, 1::3],
    "empty": np.zeros((0, 3)),
    "of no dimension": np.array(3.0),
}


def read(tmp_path, content: bytes):
    path = tmp_path / "file.pkl"
    path.write_bytes(content)
    return read_pickle(str(path))


def same(first, second):
    return (
        type(first) is type(second)
        and first.dtype == second.dtype
        and np.array_equal(first, second)
        and np.shape(first) == np.shape(second)
    )


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_are_equal_to_those_that_were_written(tmp_path, protocol):
    read_back = read(tmp_path, pickle.dumps(ARRAYS, protocol))
    assert list(read_back) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert same(read_back[name], array), name
        assert read_back[name].flags.writeable


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_scalars_dtypes_and_containers_are_too(tmp_path, protocol):
    scalars = [np.float64(0.5), np.int32(7), np.bool_(True), np.str_("ab")]
    content = OrderedDict(
        scalars=scalars, dtype=np.dtype(">f4"), plain=(1, 2.5, None, "é", b"", b"x")
    )
    read_back = read(tmp_path, pickle.dumps(content, protocol))
    assert type(read_back) is OrderedDict
    assert all(map(same, read_back["scalars"], scalars))
    assert (read_back["dtype"], read_back["plain"]) == (content["dtype"], content["plain"])


@pytest.mark.parametrize("version", [1, 2])
def test_of_either_numpy_are_read(tmp_path, version):
    content = {"array": ARRAYS["float32"], "scalar": np.float64(0.5)}
    written = by_numpy(version, content)
    assert (b"numpy._core" in written) == (version == 2)
    read_back = read(tmp_path, written)
    assert same(read_back["array"], content["array"])
    assert same(read_back["scalar"], content["scalar"])


def test_of_python_2_are_read(tmp_path):
    values = np.array([[1.0, -2.5, 3e-9], [0.0, 5.0, -1.0]], dtype=np.float32)
    assert any(byte > 127 for byte in values.tobytes())  # what ASCII could not decode
    read_back = read(tmp_path, by_python2(values))
    assert list(read_back) == ["weight"]
    assert same(read_back["weight"], values)


def test_in_tuples_and_shared_by_several_names_are_one(tmp_path):
    array = ARRAYS["float32"]
    content = {"tuple": (1, [array], (array,)), "again": array}
    content["itself"] = content
    read_back = read(tmp_path, pickle.dumps(content))
    assert same(read_back["again"], array)
    assert read_back["tuple"][1][0] is read_back["tuple"][2][0] is read_back["again"]
    assert read_back["itself"] is read_back


@pytest.mark.parametrize("kind", ["O8", "V16", "M8[s]", "O", "f4,O8", "(2,)f4", "V8\n", "<f4"])
def test_of_anything_but_numbers_and_text_are_refused(tmp_path, kind):
    content = pickle.dumps(np.zeros(1, dtype=np.float32), 2)
    content = content.replace(
        b"X\x02\x00\x00\x00f4", b"X" + len(kind).to_bytes(4, "little") + kind.encode()
    )
    with pytest.raises(UnsafeFileError, match="it asks for numpy"):
        read(tmp_path, content)


def array_with(state) -> bytes:
    """The pickle of a float32 array of two whose state is ``state``."""

    class Forged:
        def __reduce__(self):
            return (*np.zeros(0).__reduce__()[:2], state)

    return pickle.dumps(Forged(), 2)


@pytest.mark.parametrize(
    "state",
    [
        (1, (3,), np.dtype("f4"), False, b"\0" * 8),
        (1, (1,), np.dtype("f4"), False, b"\0" * 8),
        (1, (-1, -2), np.dtype("f4"), False, b"\0" * 8),
        (1, (2**62, 4), np.dtype("f4"), False, b"\0" * 8),
        (1, (2,), "f4", False, b"\0" * 8),
        (1, (2,), np.dtype("f4"), False, [1.0, 2.0]),
        (1, 2, np.dtype("f4"), False, b"\0" * 8),
        "state",
    ],
)
def test_whose_bytes_are_not_what_their_shape_says_are_refused(tmp_path, state):
    good = (1, (2,), np.dtype("f4"), False, b"\0" * 8)
    assert same(read(tmp_path, array_with(good)), np.zeros(2, dtype=np.float32))
    with pytest.raises(UnreadableFileError):
        read(tmp_path, array_with(state))


def test_take_only_the_byte_order_of_a_dtypes_state(tmp_path):
    """Its flags and size would make numpy read foreign memory."""
    written = pickle.dumps(np.arange(2, dtype=np.float32), 2)
    sizes = b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
    assert sizes in written
    forged = written.replace(sizes, b"J\xff\xff\x00\x00J\x01\x00\x00\x00K\x3ft")
    assert same(read(tmp_path, forged), np.arange(2, dtype=np.float32))


@pytest.mark.parametrize(
    "name", ["numpy\ndtype", "numpy\nndarray", "numpy.core.multiarray\nscalar"]
)
@pytest.mark.parametrize("state", [b"}U\x05valueK\x01s", b"N}U\x05valueK\x01s\x86"])
def test_leave_no_trace_in_what_reads_them(tmp_path, name, state):
    """pickle's BUILD sets attributes of any object, also of a class that outlives the file."""
    with pytest.raises(UnreadableFileError):
        read(tmp_path, b"c" + name.encode() + b"\n" + state + b"b.")
    assert not hasattr(Dtype, "value")
    assert Array.value is None


@pytest.mark.parametrize("codec", ["latin1", "zip", "utf-16"])
def test_bytes_are_decoded_as_latin1_alone(tmp_path, codec):
    name = b"X" + len(codec).to_bytes(4, "little") + codec.encode()
    content = b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00a" + name + b"\x86R."
    if codec == "latin1":
        assert read(tmp_path, content) == b"a"
    else:
        with pytest.raises(UnreadableFileError, match=f"bytes encoded as '{codec}'"):
            read(tmp_path, content)
