"""A file of ImageNet weights, all of which must fit the timm model that it is to fill."""

import logging
import os

import torch
from torch import nn

from ..checkpoint import describe_mismatch, read_checkpoint
from ..errors import ConfigError
from ..weights import COUNTERS

logger = logging.getLogger(__name__)

FROM_TIMM = "timm"  # as a path: what timm itself downloads


def load_timm_weights(
    model: nn.Module, name: str, path: str, key: str, in_channels: int = 3
) -> None:
    """Loads ``path`` into ``model``; every parameter and buffer must come from the file.

    And the other way round: the file must have nothing but what the whole classifier has, of which
    ``model`` is the lower part, or a deeper model's weights would fill a shallower one. Reads
    ``.pth``, ``.pkl`` and ``.safetensors`` with timm's names, without running anything in them.

    Args:
        model: made by ``timm.create_model(name, features_only=True)``.
        name: of the timm model.
        path: a file on this machine.
        key: the config key that named the file, for the error messages.
        in_channels: of the images.

    Raises:
        ConfigError: naming ``key``, the file and the tensors, if the file is missing or
            unreadable or could run code (``UnsafeFileError``), or does not fit.
    """
    check_timm_weights(path, key)
    try:
        checkpoint = read_checkpoint(path)
    except ConfigError as e:
        raise type(e)(f"{key}: {e}") from e
    in_file = {_name(n): (n, torch.as_tensor(value)) for n, value in checkpoint["model"].items()}
    in_model = {_name(n): (n, tensor) for n, tensor in _state(model).items()}

    in_whole_model = _names_of_whole_model(name, in_channels)
    problems = describe_mismatch(
        surplus=[original for n, (original, _) in in_file.items() if n not in in_whole_model],
        missing=[original for n, (original, _) in in_model.items() if n not in in_file],
        shapes=[
            (original, in_file[n][1].shape, tensor.shape)
            for n, (original, tensor) in in_model.items()
            if n in in_file and in_file[n][1].shape != tensor.shape
        ],
    )
    if problems:
        raise ConfigError(
            f"{key}: {path} does not fill the timm model {name}.\n{problems}\n"
            "Use weights of that model, with timm's names"
        )
    with torch.no_grad():
        for n, (_, tensor) in in_model.items():
            tensor.copy_(in_file[n][1])
    logger.info("%s: all %d tensors of the backbone come from %s", key, len(in_model), path)


def check_timm_weights(path: str, key: str) -> None:
    """Checks that the file is there; "" and "timm" name none.

    Raises:
        ConfigError: naming ``key`` and the file.
    """
    if path not in ("", FROM_TIMM) and not os.path.isfile(path):
        raise ConfigError(
            f"{key}: there is no file {path} on this machine (seen from the working directory). "
            f'Where a checkpoint brings all weights (MODEL.WEIGHTS, --resume), set {key} to ""'
        )


def _state(model: nn.Module) -> dict[str, torch.Tensor]:
    """What must come from the file, in ``model``'s own memory."""
    state = model.state_dict()
    return {name: tensor for name, tensor in state.items() if not name.endswith(COUNTERS)}


def _name(name: str) -> str:
    """One name for a tensor in the whole model and in ``features_only``, which says "stages_0" for
    the former's "stages.0", and "model.stem" for "stem" where it has the former inside.
    """
    return name.removeprefix("model.").replace(".", "_")


def _names_of_whole_model(name: str, in_channels: int) -> set[str]:
    import timm

    # From a forked random state: the rest of the detector starts as it would without the file.
    with torch.random.fork_rng(devices=[]):
        whole = timm.create_model(name, in_chans=in_channels)
    return {_name(n) for n in whole.state_dict()}
