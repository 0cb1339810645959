"""Where weights are, before they are read."""

from detectron2.utils.file_io import PathManager

from ..errors import ConfigError


def fetched(path: str) -> str:
    """The file on this machine of a path or an address, downloaded if need be.

    Raises:
        ConfigError: naming ``path``, if it cannot be had or is not there.
    """
    try:
        local_path = PathManager.get_local_path(path)
    except Exception as e:  # each path handler has its own: network, permission, unknown scheme
        raise ConfigError(f"{path} cannot be had: {type(e).__name__}: {e}") from e
    if not PathManager.isfile(local_path):
        raise ConfigError(f"there is no file {path} (seen from the working directory)")
    return local_path
