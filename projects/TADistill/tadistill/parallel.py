"""Models that may be wrapped, for several processes, by ``torch.compile`` or to be averaged."""

from torch import nn
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


def holds(module, kind: type[nn.Module]) -> bool:
    """Whether it is a module of a kind, wrapped in others or not."""
    return isinstance(module, nn.Module) and any(isinstance(m, kind) for m in module.modules())
