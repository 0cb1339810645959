"""One weights file, whatever its format, as Detectron2's checkpointer has it."""

import logging
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError
from .errors import UnreadableFileError
from .pickles import read_pickle
from .torch_files import read_torch

logger = logging.getLogger(__name__)


def read_checkpoint(path: str) -> dict:
    """Reads a weights file without running anything that is in it.

    The format goes by the name, and the conversions are those of Detectron2 v0.6 and main:

    - ``.pkl``: the model zoo's (``"__author__"``), or else Caffe2's (``"blobs"`` or bare),
      whose names are matched by heuristics;
    - ``.pyth``: pycls' (``"model_state"``), matched by heuristics too;
    - ``.safetensors``: nothing but weights;
    - any other: ``torch.save``'s, of a dictionary with the key ``"model"``, or of weights alone.

    Args:
        path: a file on this machine.

    Returns:
        ``"model"``: tensors or arrays by name, and whatever else a training saved beside them.

    Raises:
        UnsafeFileError: if the file asks for anything that weights do not need.
        UnreadableFileError: if it is broken, or its ``"model"`` holds no weights.
        ConfigError: if it is ``.safetensors`` and that package is not installed.
    """
    if path.endswith(".pkl"):
        checkpoint = _from_zoo_or_caffe2(path, _dictionary(path, read_pickle(path)))
    elif path.endswith(".pyth"):
        checkpoint = _from_pycls(path, _dictionary(path, read_torch(path)))
    elif path.endswith(".safetensors"):
        checkpoint = {"model": _read_safetensors(path)}
    else:
        checkpoint = _dictionary(path, read_torch(path))
        if "model" not in checkpoint:
            checkpoint = {"model": checkpoint}
    _check_weights(path, checkpoint["model"])
    return checkpoint


def _from_zoo_or_caffe2(path: str, data: dict) -> dict:
    if "model" in data and "__author__" in data:
        logger.info("Reading a file from '%s'", data["__author__"])
        return data
    blobs = data.get("blobs", data)  # detection models have "blobs", ImageNet models do not
    _check_weights(path, blobs)
    weights = {name: blob for name, blob in blobs.items() if not name.endswith("_momentum")}
    return {"model": weights, "__author__": "Caffe2", "matching_heuristics": True}


def _from_pycls(path: str, data: dict) -> dict:
    if "model_state" not in data:
        raise UnreadableFileError.because(path, "a .pyth file of pycls has a 'model_state'")
    _check_weights(path, data["model_state"])
    weights = {
        name: tensor
        for name, tensor in data["model_state"].items()
        if not name.endswith("num_batches_tracked")
    }
    return {"model": weights, "__author__": "pycls", "matching_heuristics": True}


def _read_safetensors(path: str) -> dict[str, Tensor]:
    try:
        from safetensors.torch import load_file
    except ImportError as e:
        raise ConfigError(
            f"{path} cannot be read without the package safetensors: pip install safetensors"
        ) from e
    try:
        return load_file(path)
    except Exception as e:  # the package's own kind of error, which it keeps in two places
        raise UnreadableFileError.because(path, e) from e


def _dictionary(path: str, data) -> dict:
    if not isinstance(data, dict):
        raise UnreadableFileError.because(path, f"it holds a {type(data).__name__}")
    return data


def _check_weights(path: str, weights) -> None:
    if not isinstance(weights, Mapping):
        raise UnreadableFileError.because(path, f"its weights are a {type(weights).__name__}")
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, (torch.Tensor, np.ndarray)):
            raise UnreadableFileError.because(
                path, f"among its weights, {name!r} is a {type(value).__name__}"
            )
