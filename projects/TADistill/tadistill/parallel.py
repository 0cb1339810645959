"""Models that may be wrapped, for several processes, by ``torch.compile`` or to be averaged."""

from collections import OrderedDict
from collections.abc import Callable, Mapping

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

# Where torch.compile keeps a model, and what the names of its tensors then begin with.
COMPILED = "_orig_mod"


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside ``DistributedDataParallel``, ``torch.compile`` and torch's
    ``AveragedModel``; any other as it is.
    """
    while True:
        if isinstance(model, (DistributedDataParallel, AveragedModel)):
            model = model.module
        elif type(model).__name__ == "OptimizedModule":  # torch's own, which is private
            model = getattr(model, COMPILED)
        else:
            return model


def plainly_named(tensors: Mapping[str, Tensor]) -> OrderedDict[str, Tensor]:
    """A ``state_dict`` by the names of a model of which no part was compiled."""
    return _renamed(tensors, _plain, _plain)


def named_as(model: nn.Module, tensors: Mapping[str, Tensor]) -> OrderedDict[str, Tensor]:
    """A ``state_dict`` by a model's own names, whatever was compiled of it and of the one that the
    tensors come from. Tensors that the model does not have keep their names.
    """
    own = {_plain(name): name for name in model.state_dict()}
    modules = {_plain(name): name for name, _ in model.named_modules()}
    return _renamed(
        tensors,
        lambda name: own.get(_plain(name), name),
        lambda name: modules.get(_plain(name), name),
    )


def _renamed(
    tensors: Mapping[str, Tensor], rename: Callable[[str], str], rename_module: Callable[[str], str]
) -> OrderedDict[str, Tensor]:
    """With the versions of its modules, which torch keeps beside the tensors: without them a module
    that has changed since its first version would convert its tensors again.
    """
    renamed = OrderedDict((rename(name), tensor) for name, tensor in tensors.items())
    if hasattr(tensors, "_metadata"):
        # Of a compiled module and the one inside it the second comes later, and stays.
        versions = tensors._metadata.items()
        renamed._metadata = OrderedDict((rename_module(name), v) for name, v in versions)
    return renamed


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != COMPILED)
