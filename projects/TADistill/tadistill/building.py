"""What Detectron2 stops at when it builds something from a config, in words for the config's owner.

Detectron2 says it in a bare KeyError or an assertion, far below the key that is to blame.
"""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.util import find_spec

from detectron2.config import CfgNode

from .errors import ConfigError
from .parts import REGISTRIES

_STOPS = (KeyError, ValueError, AssertionError, AttributeError, TypeError, IndexError)


@contextmanager
def naming_what_stops(cfg: CfgNode, source: str, what: str = "a model") -> Iterator[None]:
    """Around the building of something.

    Args:
        cfg: from which it is built.
        source: the file or the key that describes it, for the error message.
        what: it is, likewise.

    Raises:
        ConfigError: in the place of an error of Detectron2, or of torch below it. Others, as those
            of a project's own parts, are raised as they are.
    """
    try:
        yield
    except ConfigError:
        raise
    except _STOPS as e:
        reason = _unregistered(e, cfg) or _undeclared(e) or _stop_of_libraries(e)
        if reason is None:
            raise
        raise ConfigError(f"{source} describes {what} that cannot be built here: {reason}") from e


def _unregistered(error: Exception, cfg: CfgNode) -> str | None:
    """What is wrong where a registry does not have a name; None if that is not it."""
    if not (isinstance(error, KeyError) and str(error.args[0]).startswith("No object named")):
        return None
    for key, registry in REGISTRIES.items():
        name = value_at(cfg, key)
        if name and name not in registry and f"'{name}'" in error.args[0]:
            close = get_close_matches(name, [known for known, _ in registry], n=1)
            meant = f" ({close[0]!r}?)" if close else ""
            return (
                f"{key} is {name!r}{meant}, which nothing has registered. If it is a part of "
                "another project, import that first"
            )
    return f"{error.args[0]} If it is a part of another project, import that first"


def _undeclared(error: Exception) -> str | None:
    """Likewise where yacs does not have a key: it raises the bare key, Python a sentence."""
    key = str(error.args[0]) if error.args else ""
    if not (isinstance(error, AttributeError) and key.isidentifier() and key.isupper()):
        return None
    return (
        f"there is no config key {key}. If it is one of another project, import that first, and "
        "give the whole config.yaml of its training's OUTPUT_DIR"
    )


def _stop_of_libraries(error: Exception) -> str | None:
    """Likewise where Detectron2, or torch below it, stopped; None if anybody else's code was on the
    way there, or our own was the last.
    """
    frames = traceback.extract_tb(error.__traceback__)
    ours, *theirs = map(_folder, ("tadistill", "detectron2", "fvcore", "torch"))
    known = all(f.filename.startswith((ours, *theirs)) or _is_of_python(f) for f in frames)
    last = frames[-1]
    if not known or last.filename.startswith(ours):
        return None
    place = "/".join(last.filename.split(os.sep)[-3:])
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"{said}, at `{last.line}` ({place})"


def _folder(package: str) -> str:
    return os.path.dirname(find_spec(package).origin) + os.sep


def _is_of_python(frame: traceback.FrameSummary) -> bool:
    """Such as contextlib and functools."""
    return os.path.dirname(frame.filename) == os.path.dirname(os.__file__)


def value_at(cfg: CfgNode, key: str):
    """What is at a dotted key; None if nothing is."""
    node = cfg
    for name in key.split("."):
        node = node.get(name) if isinstance(node, CfgNode) else None
    return node
