"""Files and overrides merged into a config, with errors that say whose they are."""

from collections.abc import Sequence

import yaml
from detectron2.config import CfgNode
from detectron2.utils.file_io import PathManager

from .errors import ConfigError

# What yacs raises at unknown keys, values of another type, and files that hold no mapping.
_MERGE_ERRORS = (KeyError, ValueError, TypeError, AttributeError, AssertionError)


def merge_file(cfg: CfgNode, path: str, source: str, allow_unsafe: bool) -> None:
    """Merges a YAML file into ``cfg``.

    Args:
        cfg: changed in place.
        path: the file.
        source: the argument or config key that named it, for the error message.
        allow_unsafe: whether the YAML may construct Python objects, as Detectron2's own may.

    Raises:
        ConfigError: if there is no such file or it is not a config.
    """
    if not PathManager.isfile(path):
        raise ConfigError(f"{source}: there is no file {path} (seen from the working directory)")
    try:
        cfg.merge_from_file(path, allow_unsafe=allow_unsafe)
    except (yaml.YAMLError, OSError, *_MERGE_ERRORS) as e:
        raise ConfigError(f"{source}: {path} is not a config of Detectron2: {e}") from e


def merge_opts(cfg: CfgNode, opts: Sequence, source: str) -> None:
    """Merges a list of keys and values into ``cfg``, in place.

    Raises:
        ConfigError: if a key does not exist, or a value is missing or of another type.
    """
    try:
        cfg.merge_from_list(list(opts))
    except _MERGE_ERRORS as e:
        raise ConfigError(
            f"{source} is {list(opts)!r}: {e}. It must be a list of keys and values, as in "
            "MODEL.ROI_HEADS.NUM_CLASSES 20"
        ) from e
