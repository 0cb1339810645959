"""A user's own COCO-format data, by name."""

import os
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence

from detectron2.data import DatasetCatalog
from detectron2.data.datasets import register_coco_instances

from ..errors import ConfigError


def add_registration(parser: ArgumentParser, use: str) -> None:
    """Adds ``--register-coco NAME JSON IMAGE_DIR``, any number of times, for :func:`register_coco`.

    Args:
        use: what its help says.
    """
    parser.add_argument(
        "--register-coco",
        nargs=3,
        action="append",
        default=[],
        metavar=("NAME", "JSON", "IMAGE_DIR"),
        help=use,
    )


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
