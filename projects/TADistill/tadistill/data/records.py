"""The records of a data set, as its own function has them."""

import os

from detectron2.data import DatasetCatalog, MetadataCatalog

from ..errors import ConfigError, first_few
from .image_files import missing_files


def read_records(key: str, name: str) -> list[dict]:
    """What a registered data set consists of.

    Args:
        key: the config key that names it, for the message.
        name: the data set.

    Raises:
        ConfigError: naming both, if it cannot be read.
    """
    source = MetadataCatalog.get(name).get("json_file", name)
    try:
        return DatasetCatalog.get(name)
    except Exception as e:  # whatever a broken annotation file makes its loader raise
        raise ConfigError(
            f"{key}: {name} cannot be read from {source}: {type(e).__name__}: {e}"
        ) from e


def check_records(key: str, name: str) -> None:
    """What can be known of a data set in another format than COCO's, or of images that are where
    its records alone say: that it can be read, and that the images are there. The evaluation that
    ends a training would find out too late.

    Raises:
        ConfigError: naming both, and the first of what is missing.
    """
    records = read_records(key, name)
    names = [os.fspath(record["file_name"]) for record in records if "file_name" in record]
    if missing := missing_files("", [name for name in names if "://" not in name]):
        raise ConfigError(
            f"{key}: {len(missing)} of the {len(names)} image files of {name} are not there "
            f"({first_few(missing)})"
        )
