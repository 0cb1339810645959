"""Models that may be wrapped for several processes."""

from torch import nn
from torch.nn.parallel import DistributedDataParallel


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside a ``DistributedDataParallel``; any other as it is."""
    return model.module if isinstance(model, DistributedDataParallel) else model
