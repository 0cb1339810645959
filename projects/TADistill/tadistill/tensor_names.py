"""The names that a model's tensors have in its files, whatever of it was compiled."""

from collections import OrderedDict
from collections.abc import Mapping

from torch import Tensor, nn

from .parallel import COMPILED


def plainly_named(tensors: Mapping[str, Tensor]) -> OrderedDict[str, Tensor]:
    """A ``state_dict`` by the names of a model of which no part was compiled."""
    plain = OrderedDict((_plain(name), tensor) for name, tensor in tensors.items())
    if len(plain) < len(tensors):  # two became one: what torch calls so is somebody's own, too
        return OrderedDict(tensors)
    return _with_versions(plain, {_plain(m): v for m, v in _versions(tensors).items()})


def named_as(model: nn.Module, tensors: Mapping[str, Tensor]) -> OrderedDict[str, Tensor]:
    """A ``state_dict`` by a model's own names, whatever was compiled of it and of the one that the
    tensors come from. Tensors that the model does not have get the names of one that was not.
    """
    own = {name: name for name in model.state_dict()}
    by_plain_name = {_plain(name): name for name in own}
    inner = {_plain(name): name for name, _ in model.named_modules()}

    def renamed(name: str) -> str:
        plain = _plain(name)
        of_ddp = plain.removeprefix("module.")
        return own.get(name) or by_plain_name.get(plain) or by_plain_name.get(of_ddp, plain)

    versions = {}
    for module, version in _versions(tensors).items():
        versions[module] = versions[inner.get(_plain(module), module)] = version
    return _with_versions(OrderedDict((renamed(n), t) for n, t in tensors.items()), versions)


def _versions(tensors: Mapping[str, Tensor]) -> dict[str, dict]:
    """Those of a model's modules, by name, which torch keeps beside its tensors. Without them a
    module that has changed since its first version would convert its tensors again. Of a compiled
    module and the one inside it the second comes later.
    """
    versions = getattr(tensors, "_metadata", None)
    return {str(k): v for k, v in versions.items()} if isinstance(versions, Mapping) else {}


def _with_versions(tensors: OrderedDict, versions: dict[str, dict]) -> OrderedDict[str, Tensor]:
    if versions:
        tensors._metadata = OrderedDict(versions)
    return tensors


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != COMPILED)
