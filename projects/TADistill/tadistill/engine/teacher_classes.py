"""The names of the teacher's classes, as far as they can be known, beside the student's."""

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog

from ..architecture import is_distilled
from ..errors import ConfigError, first_few
from ..notices import Notice
from ..options import DistillationOptions
from ..teacher import teacher_config

_KEY = "MODEL.TADISTILL.TEACHER"


def check_teacher_classes(cfg: CfgNode, name: str) -> Notice:
    """Checks that the teacher's classes are, by name and in order, those of a dataset.

    A checkpoint does not say what its classes mean. What can be known is what the datasets that
    the teacher's config names in ``DATASETS.TRAIN`` are registered with here: Detectron2's own
    always are, and those of ``--register-coco`` once they have been read, as the student's have.
    One with another number of classes is not what it was trained on, and says nothing: the
    teacher has as many as the student, or is refused when it is built.

    Args:
        cfg: the student's config, with a teacher.
        name: a dataset of the student's.

    Returns:
        A line that says whose names were compared, or that there were none to compare.

    Raises:
        ConfigError: naming the first class that differs.
    """
    classes = _registered_classes(name)
    teacher_names = teacher_config(cfg).DATASETS.TRAIN
    for teacher_name in teacher_names if classes else ():
        known = _registered_classes(teacher_name)
        if known is None or len(known) != len(classes):
            continue
        for i, (theirs, ours) in enumerate(zip(known, classes, strict=True)):
            if theirs != ours:
                raise ConfigError(
                    f"the teacher's class {i} is {theirs!r} ({_KEY}.CONFIG_FILE names "
                    f"{teacher_name} in DATASETS.TRAIN), but that of {name} is {ours!r}: their "
                    "logits cannot be compared. Bring the categories into the teacher's order, or "
                    "fine-tune it on yours. If it was trained on other data than its config says, "
                    f"or both names mean the same, add {_KEY}.OPTS \"['DATASETS.TRAIN', ()]\""
                )
        return Notice(f"the teacher's classes are those of {name}, by name, as in {teacher_name}")
    return Notice(
        f"the names of the teacher's classes are not known ({_KEY}.CONFIG_FILE names "
        f"{first_few(teacher_names) or 'nothing'} in DATASETS.TRAIN): only their "
        f"number is compared with that of {name}"
    )


def has_teacher(cfg: CfgNode) -> bool:
    """Whether a training of ``cfg`` listens to a teacher."""
    distills = is_distilled(cfg) and cfg.MODEL.TADISTILL.ENABLED
    return distills and DistillationOptions.from_cfg(cfg).needs_teacher


def _registered_classes(name: str) -> list[str] | None:
    if name not in DatasetCatalog.list():
        return None
    return MetadataCatalog.get(name).get("thing_classes")
