"""From overrides to the config that ``train_net.py`` will see."""

from collections.abc import Sequence
from functools import cache

from detectron2.config import CfgNode, get_cfg
from trainings import REPO

from tadistill import add_tadistill_config
from tadistill.errors import ConfigError
from tadistill.merging import merge_file, merge_opts


def resolved_config(path: str, opts: Sequence[str], source: str) -> CfgNode:
    """The config of a file and overrides, as ``train_net.py`` has it.

    Args:
        path: the file, seen from the repository.
        opts: keys and values, as text.
        source: what named them, for the error message.

    Raises:
        ConfigError: naming ``source``.
    """
    cfg = _config(path, source).clone()
    merge_opts(cfg, opts, source)
    return cfg


def as_opts(overrides: dict, path: str, source: str) -> list[str]:
    """Overrides as keys and values of a command line.

    A whole number where a key wants another is made one: ``WEIGHT: 5`` means 5.0.

    Args:
        overrides: by dotted config key.
        path: the config file that they are overrides of.
        source: what named them, for the error message.

    Raises:
        ConfigError: naming ``source`` and the key, if there is no such key.
    """
    opts = []
    for key, value in overrides.items():
        node = _config(path, source)
        for name in key.split("."):
            if not isinstance(node, CfgNode) or name not in node:
                raise ConfigError(f"{source} has {key}, which is no key of a config")
            node = node[name]
        if isinstance(node, float) and type(value) is int:
            value = float(value)
        opts += [key, value if isinstance(value, str) else repr(value)]
    return opts


@cache
def _config(path: str, source: str) -> CfgNode:
    cfg = get_cfg()
    add_tadistill_config(cfg)
    merge_file(cfg, str(REPO / path), source)
    return cfg
