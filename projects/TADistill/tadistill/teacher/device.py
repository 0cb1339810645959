"""Whether this machine can do what is to make the teacher faster."""

import torch

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
