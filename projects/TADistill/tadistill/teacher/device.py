"""Whether this machine can do what is to make the teacher faster."""

import torch
from torch import nn

from ..errors import ConfigError
from ..options import TeacherOptions
from .config import KEY


def check_speedups(options: TeacherOptions, device: torch.device) -> None:
    """
    Args:
        options: those of ``MODEL.TADISTILL.TEACHER``.
        device: ``MODEL.DEVICE``.

    Raises:
        ConfigError: naming the config key, if the device has no streams, or if ``torch.compile``
            does not work for it, which takes a C++ compiler and Python's headers.
    """
    if options.stream and device.type != "cuda":
        raise ConfigError(
            f"{KEY}.STREAM is True, but MODEL.DEVICE is {str(device)!r}, which has no streams: set "
            "it to False"
        )
    if options.compile:
        _check_compiler(device)


def check_compilable(backbone: nn.Module) -> None:
    """Whether ``torch.compile`` can make a teacher's backbone faster, for images of any size.

    TensorFlow's padding, in timm's models that have its weights, is arithmetic on the image's size.
    Where that is not known torch.compile nests it from layer to layer, and does not come to an end.

    Raises:
        ConfigError: naming the config key and the layers.
    """
    layers = {type(layer).__name__ for layer in backbone.modules()}
    padding = sorted(name for name in layers if name.endswith("2dSame"))
    if padding:
        raise ConfigError(
            f"{KEY}.COMPILE is True, but the teacher's backbone has {', '.join(padding)}, whose "
            "padding depends on the image's size: over that torch.compile does not come to an end. "
            "Set it to False"
        )


def _check_compiler(device: torch.device) -> None:
    x = torch.zeros(2, device=device)
    try:
        torch.compile(lambda x: x + 1)(x)
    except Exception as error:  # of many kinds, some of them torch's own and private
        reason = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        raise ConfigError(
            f"{KEY}.COMPILE is True, but torch.compile does not work here ({reason}): install a "
            "C++ compiler (g++) and Python's headers, or set it to False"
        ) from error
