"""What can be known to be wrong before the first step is spent."""

import argparse
from collections.abc import Mapping, Sequence

import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils import comm
from detectron2.utils.file_io import PathManager

from ..backbones import TIMM_FPN, check_timm_weights
from ..building import value_at
from ..checkpoint import TrainingCheckpointer
from ..data import Use, check_records, examine_annotations, read_records
from ..errors import ConfigError, first_few
from ..notices import Notice
from .processes import on_gpu
from .run_directory import check_run_directory
from .teacher_classes import check_teacher_classes, has_teacher

_AT_LEAST = {"SOLVER.MAX_ITER": 1, "SOLVER.CHECKPOINT_PERIOD": 1, "DATALOADER.NUM_WORKERS": 0}


def check_before_training(
    cfg: CfgNode, num_processes: int = 1, resume: bool = False
) -> list[Notice]:
    """Checks device and datasets for training and the evaluation that ends it.

    The teacher is checked when the model is built: see :mod:`tadistill.teacher.build`. Its
    classes' names alone are compared here.

    Args:
        cfg: the student's config.
        num_processes: among which each batch is divided.
        resume: whether a run in ``OUTPUT_DIR`` is to be gone on with: its checkpoint is read, and
            not ``MODEL.WEIGHTS``.

    Returns:
        What there is to say of the datasets, for the log, which is not open yet.

    Raises:
        ConfigError: naming the config key, the value found and what to do.
    """
    check_device(cfg, comm.get_local_size())
    check_batch(cfg, num_processes)
    if not cfg.DATASETS.TRAIN:
        raise ConfigError("DATASETS.TRAIN is empty: name a dataset to train on")
    notices = check_datasets(
        cfg,
        {
            "DATASETS.TRAIN": (cfg.DATASETS.TRAIN, Use.in_training(cfg)),
            "DATASETS.TEST": (cfg.DATASETS.TEST, Use.in_test(cfg)),
        },
    )
    check_numbers(cfg)
    goes_on = resume and TrainingCheckpointer(None, cfg.OUTPUT_DIR).has_checkpoint()
    if not goes_on:
        check_initial_weights(cfg)
    if cfg.MODEL.BACKBONE.NAME == TIMM_FPN:  # which is built with them in any case
        check_timm_weights(cfg.MODEL.TIMM.WEIGHTS, "MODEL.TIMM.WEIGHTS")
    if has_teacher(cfg):
        # Its datasets have been found to have the same classes.
        notices.append(check_teacher_classes(cfg, cfg.DATASETS.TRAIN[0]))
    return notices


def check_before_launch(cfg: CfgNode, args: argparse.Namespace) -> None:
    """Checks, in the process that is to launch others, what each of them would fail at.

    Raises:
        ConfigError: as :func:`check_before_training`; also if ``MODEL.DEVICE`` is a GPU and there
            are fewer of them than ``--num-gpus`` asks for.
    """
    if on_gpu(cfg) and args.num_gpus > torch.cuda.device_count():
        raise ConfigError(
            f"--num-gpus is {args.num_gpus}, but torch sees {torch.cuda.device_count()} GPUs on "
            "this machine; each process needs one. For processes on the CPU add "
            '"MODEL.DEVICE cpu" to the command'
        )
    if args.num_machines > 1 and args.dist_url == "auto":
        raise ConfigError(
            f"--dist-url is 'auto', but --num-machines is {args.num_machines}: give an address "
            "that all of them reach, tcp://HOST:PORT of the machine with --machine-rank 0"
        )
    check_device(cfg, args.num_gpus)
    if not (args.eval_only or args.eval_teacher):
        check_before_training(cfg, args.num_gpus * args.num_machines, args.resume)
        if args.machine_rank == 0:
            check_run_directory(cfg, args.resume)


def check_initial_weights(cfg: CfgNode) -> None:
    """Checks that a local ``MODEL.WEIGHTS`` is there. A URL is left to its download."""
    path = cfg.MODEL.WEIGHTS
    if path and "://" not in path and not PathManager.isfile(path):
        raise ConfigError(
            f"MODEL.WEIGHTS is {path!r}, where the student is to start: there is no such file "
            '(seen from the working directory). Set it to "" to start from scratch'
        )


def check_batch(cfg: CfgNode, num_processes: int) -> None:
    """Checks that each process gets as many images as the others."""
    # With a reference, Detectron2 keeps the share of one process as it was for that many.
    reference = cfg.SOLVER.REFERENCE_WORLD_SIZE
    shares = reference or num_processes
    if cfg.SOLVER.IMS_PER_BATCH < 1:
        raise ConfigError(
            f"SOLVER.IMS_PER_BATCH is {cfg.SOLVER.IMS_PER_BATCH}; it must be 1 or more"
        )
    if cfg.SOLVER.IMS_PER_BATCH % shares:
        key = "SOLVER.REFERENCE_WORLD_SIZE" if reference else "the number of processes"
        raise ConfigError(
            f"SOLVER.IMS_PER_BATCH is {cfg.SOLVER.IMS_PER_BATCH}, the images of all processes "
            f"together, and {key} is {shares}; make the batch a multiple of it"
        )


def check_numbers(cfg: CfgNode) -> None:
    """Checks what Detectron2 would stop at after it has begun, or say nothing of."""
    for key, least in _AT_LEAST.items():
        value = value_at(cfg, key)
        if value < least:
            raise ConfigError(f"{key} is {value}; it must be {least} or more")
    if not cfg.INPUT.MIN_SIZE_TRAIN:
        raise ConfigError("INPUT.MIN_SIZE_TRAIN is empty: give the sizes to choose from, in pixels")


def check_device(cfg: CfgNode, processes_here: int = 1) -> None:
    """Checks that this machine has what ``MODEL.DEVICE`` asks for, for each of its processes."""
    try:
        torch.device(cfg.MODEL.DEVICE)
    except RuntimeError as e:
        raise ConfigError(
            f"MODEL.DEVICE is {cfg.MODEL.DEVICE!r}, which torch does not know; as a rule it is "
            "'cuda' or 'cpu'"
        ) from e
    if on_gpu(cfg) and not torch.cuda.is_available():
        raise ConfigError(
            f"MODEL.DEVICE is {cfg.MODEL.DEVICE!r}, but this machine has no GPU that torch can "
            'use; to train on the CPU add "MODEL.DEVICE cpu" to the command'
        )
    if on_gpu(cfg) and processes_here > 1 and torch.device(cfg.MODEL.DEVICE).index is not None:
        raise ConfigError(
            f"MODEL.DEVICE is {cfg.MODEL.DEVICE!r}, but there are {processes_here} processes on "
            'this machine, and all of them would share that GPU: set it to "cuda", and each takes '
            "one of its own"
        )
    if cfg.SOLVER.AMP.ENABLED and not on_gpu(cfg):
        raise ConfigError(
            "SOLVER.AMP.ENABLED is True, but Detectron2's mixed-precision trainer needs a GPU "
            f"and MODEL.DEVICE is {cfg.MODEL.DEVICE!r}; set it to False"
        )


def check_datasets(cfg: CfgNode, wanted: Mapping[str, tuple[Sequence[str], Use]]) -> list[Notice]:
    """Checks that each dataset exists, can be read, is fit for use and has the model's classes.

    Args:
        cfg: the student's config.
        wanted: datasets and what for, by the config key that names them.

    Returns:
        What was counted in the annotations of each.

    Raises:
        ConfigError: naming the config key and the dataset.
    """
    if cfg.MODEL.LOAD_PROPOSALS:
        raise ConfigError(
            "MODEL.LOAD_PROPOSALS is True: Detectron2 unpickles the files of precomputed "
            "proposals, and a pickle can run code; set it to False, and an RPN proposes"
        )
    notices = []
    first: tuple[str, list[str]] | None = None
    uses = [(key, name, use) for key, (names, use) in wanted.items() for name in names]
    for key, name, use in uses:
        if name not in DatasetCatalog.list():
            raise ConfigError(
                f"{key} names {name!r}, which is not registered; register data of your own with "
                f"--register-coco {name} ANNOTATIONS.json IMAGE_DIR, before any config keys"
            )
        check_files(key, name)
        if comm.is_main_process():  # the others read the same files
            notice = examine_annotations(key, name, use)
            notices += [notice] if notice else []
            if not (notice and MetadataCatalog.get(name).get("image_root")):
                check_records(key, name)
        classes = _classes(key, name)
        if classes is None:
            continue
        _check_class_count(cfg, key, name, classes)
        first = first or (name, classes)
        if list(classes) != list(first[1]):
            raise ConfigError(
                f"{name} ({key}) and {first[0]} have other classes, or the same in another order: "
                f"{first_few(classes)} and {first_few(first[1])}"
            )
    return notices


def check_files(key: str, name: str) -> None:
    """Checks that the files of a dataset are where it was registered to have them."""
    metadata = MetadataCatalog.get(name)
    for place in ("json_file", "image_root", "dirname"):
        path = metadata.get(place)
        if path and not PathManager.exists(path):
            raise ConfigError(
                f"{key}: the dataset {name} is to lie at {path}, where nothing is. Detectron2 "
                "looks for its own datasets in the folder that the environment variable "
                "DETECTRON2_DATASETS names, or else in ./datasets"
            )


def _check_class_count(cfg: CfgNode, key: str, name: str, classes: list[str]) -> None:
    num_classes = cfg.MODEL.ROI_HEADS.NUM_CLASSES
    if len(classes) != num_classes:
        raise ConfigError(
            f"MODEL.ROI_HEADS.NUM_CLASSES is {num_classes}, but {name} ({key}) has "
            f"{len(classes)} classes ({first_few(classes)}); set it to {len(classes)}"
        )


def _classes(key: str, name: str) -> list[str] | None:
    metadata = MetadataCatalog.get(name)
    if metadata.get("thing_classes") is None:  # a COCO file is read for its classes
        read_records(key, name)
    return metadata.get("thing_classes")
