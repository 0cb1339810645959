"""Files and overrides merged into a config, with errors that say whose they are.

Nothing in a config can run code here. Detectron2 itself lets a YAML file call any function of
Python by a tag (``!!python/object/apply:…``), and its LazyConfigs are Python; neither is read. Of
its model zoo this shuts out the RetinaNets alone, which have no box head and cannot be distilled.
"""

import os
from collections.abc import Sequence

import yaml
from detectron2.config import CfgNode
from detectron2.utils.file_io import PathManager

from .errors import ConfigError

# What yacs raises at unknown keys, values of another type, and files that hold no mapping.
_MERGE_ERRORS = (KeyError, ValueError, TypeError, AttributeError, AssertionError)
_WHOLE_NUMBER = f"({float} vs. {int})"
_TUPLE = f"({tuple} vs. {str})"
# And at YAML that refers to itself.
_FILE_ERRORS = (yaml.YAMLError, OSError, RecursionError, *_MERGE_ERRORS)


def merge_file(cfg: CfgNode, path: str, source: str) -> None:
    """Merges a YAML file and its ``_BASE_`` files into ``cfg``.

    All of them must be plain YAML on this machine: what a run does is then in files that can be
    read before it, and stays the same when someone else's server does not.

    Args:
        cfg: changed in place.
        path: the file.
        source: the argument or config key that named it, for the error message.

    Raises:
        ConfigError: naming the file at fault, if it is not there, is not a config, has a tag that
            makes Python objects, or has an address for its ``_BASE_``.
    """
    if path.endswith(".py"):
        raise ConfigError(
            f"{source}: {path} is a LazyConfig, which is a program; only YAML is read here"
        )
    if is_address(path):
        raise ConfigError(f"{source}: {path} is an address; download the config and name the file")
    if not PathManager.isfile(path):
        raise ConfigError(f"{source}: there is no file {path} (seen from the working directory)")
    try:
        _check_plain(path, source)
        cfg.merge_from_file(path, allow_unsafe=False)
    except ConfigError:
        raise
    except _FILE_ERRORS as e:
        raise ConfigError(f"{source}: {path} is not a config of Detectron2: {e}{_advice(e)}") from e


def merge_opts(cfg: CfgNode, opts: Sequence, source: str) -> None:
    """Merges a list of keys and values into ``cfg``, in place.

    Raises:
        ConfigError: if a key does not exist, or a value is missing or of another type.
    """
    try:
        cfg.merge_from_list(list(opts))
    except _MERGE_ERRORS as e:
        raise ConfigError(
            f"{source} is {list(opts)!r}: {e}{_advice(e)}. It must be a list of keys and values, "
            "as in MODEL.ROI_HEADS.NUM_CLASSES 20"
        ) from e


def is_address(path: str) -> bool:
    """Whether ``path`` is a URL of any scheme (``https``, ``detectron2``, ``catalog``…)."""
    return "://" in path


def _advice(error: Exception) -> str:
    """yacs shows Python's classes where a value is not of a key's kind, and not how to write it."""
    if _WHOLE_NUMBER in str(error):
        return " (a whole number has its point here, as in 0.0)"
    if _TUPLE in str(error):
        return """ (several are wanted: one of them is written "('one',)")"""
    return ""


def _check_plain(path: str, source: str, above: tuple[str, ...] = ()) -> None:
    """Checks a config and, as fvcore finds them, the files below its ``_BASE_``."""
    if os.path.realpath(path) in above:
        raise ConfigError(f"{source}: {path} is its own _BASE_, by way of {', '.join(above)}")
    try:
        with PathManager.open(path) as f:
            content = yaml.safe_load(f)
    except yaml.constructor.ConstructorError as e:
        problem = str(e.problem).replace("tag:yaml.org,2002:", "!!")
        raise ConfigError(
            f"{source}: {path} is not a config of Detectron2 that is read here: {problem}. Tags of "
            "Python can run code; write the value out (for a tuple, a list)"
        ) from e
    bases = content.get("_BASE_", []) if isinstance(content, dict) else []
    for base in [bases] if isinstance(bases, str) else bases:
        if is_address(base):
            raise ConfigError(
                f"{source}: {path} has the _BASE_ {base}; download it, and name the file instead"
            )
        base = os.path.join(os.path.dirname(path), os.path.expanduser(base))
        _check_plain(base, source, (*above, os.path.realpath(path)))
