"""A user's own COCO-format data, by name."""

import os
from collections.abc import Iterable, Sequence

from detectron2.data import DatasetCatalog
from detectron2.data.datasets import register_coco_instances

from ..errors import ConfigError


def register_coco(datasets: Iterable[Sequence[str]]) -> None:
    """Registers each ``(name, annotations, image_dir)``.

    Raises:
        ConfigError: naming the argument, if a name is taken, or a file or folder is not there.
    """
    for name, annotations, image_dir in datasets:
        argument = f"--register-coco {name} {annotations} {image_dir}"
        if name in DatasetCatalog.list():
            raise ConfigError(f"{argument}: a dataset {name!r} exists already; choose another name")
        if not os.path.isfile(annotations):
            raise ConfigError(f"{argument}: there is no file {annotations}")
        if not os.path.isdir(image_dir):
            raise ConfigError(f"{argument}: there is no folder {image_dir}")
        register_coco_instances(name, {}, annotations, image_dir)
