"""BatchNorm of a frozen model, folded into the convolutions before it."""

from detectron2.layers import Conv2d, FrozenBatchNorm2d
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


def fold_batch_norm(model: nn.Module) -> int:
    """Replaces ``norm(conv(x))`` by a convolution of other weights, in place.

    With running statistics the norm is one factor and one summand a channel: the same numbers, but
    for rounding, and a pass less over each feature map. For a model that is not trained any more:
    in train mode BatchNorm is no constant.

    Folds what Detectron2's own ``Conv2d`` carries as ``norm`` ("BN", "SyncBN", "FrozenBN"), as in
    its ResNets, FPNs and heads. Other norms, and those of other libraries' layers, are left.

    Args:
        model: its state dict loses the tensors of the norms.

    Returns:
        How many were folded.
    """
    convs = [m for m in model.modules() if isinstance(m, Conv2d) and _has_constant_norm(m)]
    for conv in convs:
        norm = conv.norm
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight,
            conv.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        conv.norm = None
    return len(convs)


def _has_constant_norm(conv: Conv2d) -> bool:
    is_batch_norm = isinstance(conv.norm, (nn.modules.batchnorm._BatchNorm, FrozenBatchNorm2d))
    return is_batch_norm and conv.norm.running_mean is not None
