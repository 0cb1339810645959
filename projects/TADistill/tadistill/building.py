"""Parts of a model that come from a project which nobody has imported."""

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import ConfigError


@contextmanager
def naming_foreign_parts(source: str, advice: str) -> Iterator[None]:
    """Around the building of a model: what Detectron2's registries and yacs say of a part, or of a
    config key, that they do not have becomes an error that a user can do something about.

    Args:
        source: what describes the model, for the error message.
        advice: what to do, likewise.

    Raises:
        ConfigError: naming the part or the key. Other errors are raised as they are.
    """
    try:
        yield
    except (KeyError, AttributeError) as e:
        missing = _missing(e)
        if missing is None:
            raise
        raise ConfigError(
            f"{source} describes a model that cannot be built here ({missing}): {advice}"
        ) from e


def _missing(error: KeyError | AttributeError) -> str | None:
    said = str(error.args[0]) if error.args else ""
    if isinstance(error, KeyError):  # fvcore's Registry
        return said if said.startswith("No object named") else None
    # yacs has the bare key in its error, Python a sentence.
    return f"there is no config key {said}" if said.isidentifier() and said.isupper() else None
