"""What would make the host wait for a GPU, found without a GPU.

with as_on_a_gpu() as device:
    share_proposals(..., made on that device)       raises Waits where the host would wait

with counted_waits() as waits:
    model(batch)
waits                                                a Counter of the operators by name
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Of these the host has to know a value, or the size of the result.
_READ = {
    "aten::_local_scalar_dense",  # .item(), bool(), int(), .tolist()
    "aten::equal",
    "aten::is_nonzero",
    "aten::masked_select",
    "aten::nonzero",
    "aten::unique_consecutive",
    "aten::unique_dim",
    "aten::_unique",
    "aten::_unique2",
    "aten::bincount",
}
_INDEXED = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}


class Waits(AssertionError):
    """The host would wait here."""


class _Watch(TorchDispatchMode):
    def __init__(self, found):
        super().__init__()
        self._found = found

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        why = _reads(func.name().split(".")[0], args, kwargs)
        if why:
            self._found(why)
        result = func(*args, **kwargs)
        # A number, a tensor without dimensions, may come along from the CPU.
        devices = {t.device for t in _tensors((args, kwargs, result)) if t.ndim}
        if len(devices) > 1:
            self._found(f"{func.name()} from one device to another")
        return result


def _reads(name: str, args, kwargs) -> str | None:
    """Of which values, if any, the host has to wait for."""
    if name in _READ:
        return name
    if name in _INDEXED and any(t.dtype in (torch.bool, torch.uint8) for t in _tensors(args[1])):
        return f"{name} with a mask"
    if name == "aten::repeat_interleave" and "output_size" not in kwargs:
        return f"{name} of unknown size"
    return None


def _tensors(values) -> list[torch.Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, torch.Tensor)]


@contextmanager
def as_on_a_gpu() -> Iterator[torch.device]:
    """Tensors made in it, on the device given, have a shape and no values: whoever asks for one
    raises.
    """

    def found(why):
        raise Waits(why)

    with FakeTensorMode(), _Watch(found):
        yield torch.device("cuda")


@contextmanager
def counted_waits() -> Iterator[Counter]:
    """Of a computation on the CPU, how often each operator that would wait was called.

    What a CPU does without an operator is not seen: ``tolist`` and copies between devices.
    """
    counter = Counter()

    def found(why):
        counter[why] += 1

    with _Watch(found):
        yield counter
