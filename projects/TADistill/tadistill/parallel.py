"""Models that may be wrapped, for several processes or by ``torch.compile``."""

from torch import nn
from torch.nn.parallel import DistributedDataParallel

# Where torch.compile keeps a model, and what the names of its tensors then begin with.
COMPILED = "_orig_mod"


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside ``DistributedDataParallel`` and ``torch.compile``; any other as it is."""
    while True:
        if isinstance(model, DistributedDataParallel):
            model = model.module
        elif type(model).__name__ == "OptimizedModule":  # torch's own, which is private
            model = getattr(model, COMPILED)
        else:
            return model
