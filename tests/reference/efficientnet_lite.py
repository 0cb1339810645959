"""EfficientNet-Lite0 in plain tensor operations, with the names of ``efficientnet_lite_pytorch``.

After M. Tan and Q. Le, EfficientNet (ICML 2019), table 1, with the Lite variants' changes: no
squeeze-and-excitation, ReLU6, stem and head of the unscaled width. TensorFlow's padding (SAME).
"""

import math

import torch
import torch.nn.functional as F

# Of each stage: kernel, stride, expansion, channels, number of blocks.
STAGES = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
]


def blocks():
    """Of each block: kernel, stride, expansion, channels in, channels out."""
    in_channels = 32
    for kernel, stride, expansion, channels, number in STAGES:
        for i in range(number):
            yield kernel, stride if i == 0 else 1, expansion, in_channels, channels
            in_channels = channels


def random_weights(seed=0):
    """Float64 weights of moderate size, by the package's names."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}

    def conv(name, out_channels, in_channels, kernel):
        shape = (out_channels, in_channels, kernel, kernel)
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)
        weights[f"{name}.weight"] = noise / math.sqrt(in_channels * kernel**2)

    def norm(name, channels):
        low_high = {"weight": (0.5, 1.5), "bias": (-0.5, 0.5)}
        low_high |= {"running_mean": (-0.5, 0.5), "running_var": (0.5, 2.0)}
        for key, (low, high) in low_high.items():
            uniform = torch.rand(channels, generator=generator, dtype=torch.float64)
            weights[f"{name}.{key}"] = low + (high - low) * uniform
        weights[f"{name}.num_batches_tracked"] = torch.tensor(0)

    conv("_conv_stem", 32, 3, 3)
    norm("_bn0", 32)
    for i, (kernel, _, expansion, in_channels, channels) in enumerate(blocks()):
        width = in_channels * expansion
        if expansion != 1:
            conv(f"_blocks.{i}._expand_conv", width, in_channels, 1)
            norm(f"_blocks.{i}._bn0", width)
        conv(f"_blocks.{i}._depthwise_conv", width, 1, kernel)
        norm(f"_blocks.{i}._bn1", width)
        conv(f"_blocks.{i}._project_conv", channels, width, 1)
        norm(f"_blocks.{i}._bn2", channels)
    conv("_conv_head", 1280, 320, 1)
    norm("_bn1", 1280)
    weights["_fc.weight"] = torch.randn(1000, 1280, generator=generator, dtype=torch.float64) / 36
    weights["_fc.bias"] = torch.randn(1000, generator=generator, dtype=torch.float64)
    return weights


def forward(weights, image):
    """The output of each block, and the logits."""

    def conv(x, name, stride=1, groups=1):
        kernel = weights[f"{name}.weight"]
        padding = []
        for size in (x.shape[3], x.shape[2]):  # F.pad begins with the width
            total = max((math.ceil(size / stride) - 1) * stride + kernel.shape[2] - size, 0)
            padding += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, padding), kernel, stride=stride, groups=groups)

    def norm(x, name):
        mean, var, scale, shift = (
            weights[f"{name}.{key}"][:, None, None]
            for key in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(var + 1e-3) * scale + shift

    def relu6(x):
        return x.clamp(0, 6)

    x = relu6(norm(conv(image, "_conv_stem", stride=2), "_bn0"))
    outputs = []
    for i, (_, stride, expansion, in_channels, channels) in enumerate(blocks()):
        block, shortcut = f"_blocks.{i}", x
        if expansion != 1:
            x = relu6(norm(conv(x, f"{block}._expand_conv"), f"{block}._bn0"))
        depthwise = conv(x, f"{block}._depthwise_conv", stride, groups=x.shape[1])
        x = relu6(norm(depthwise, f"{block}._bn1"))
        x = norm(conv(x, f"{block}._project_conv"), f"{block}._bn2")
        if stride == 1 and in_channels == channels:
            x = x + shortcut
        outputs.append(x)
    x = relu6(norm(conv(x, "_conv_head"), "_bn1")).mean((2, 3))
    return [*outputs, x @ weights["_fc.weight"].T + weights["_fc.bias"]]
