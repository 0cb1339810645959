"""What a run depends on, and with it whether a record is of the run that a row means now.

A fingerprint is a mapping of dotted config keys, and of the data sets' annotation files, to
values: what differs from stock Detectron2's defaults, and all keys of ours. A value that is the
path of a file stands for what is in the file. What changes no result is left out: the folders, how
often a checkpoint is written, the weights of terms where there is no distillation. So a record
outlives a file that is moved, and does not outlive a default that is changed.

A key that a record lacks, because it is newer, makes another fingerprint, unless the grid calls it
``neutral``: its value is that which leaves everything as it was.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from detectron2.config import CfgNode, get_cfg
from detectron2.data import MetadataCatalog

from tadistill.teacher.config import teacher_config

from .repository import REPO

WITHOUT_EFFECT = ("OUTPUT_DIR", "SOLVER.CHECKPOINT_PERIOD", "VERSION")
OURS = "MODEL.TADISTILL"
TEACHER = f"{OURS}.TEACHER"
OF_DISTILLATION_ALONE = tuple(
    f"{OURS}.{part}."
    for part in ("TEACHER", "PROPOSALS", "FEATURE", "LOGIT", "BOX", "BALANCE", "DECAY")
)
OF_A_TEACHERS_EVALUATION = (f"{TEACHER}.", "INPUT.", "TEST.", "DATASETS.TEST", "MODEL.DEVICE")


def fingerprint(cfg: CfgNode, evaluate_teacher: bool = False) -> dict:
    """What the result of a run depends on.

    Args:
        cfg: its config; the data sets that it names are registered.
        evaluate_teacher: it evaluates the teacher and trains nothing.

    Returns:
        By dotted config key, in their order: values as JSON has them.
    """
    values = {key: _value(value) for key, value in _differences(cfg).items()}
    if evaluate_teacher:
        values = {k: v for k, v in values.items() if k.startswith(OF_A_TEACHERS_EVALUATION)}
    values = _that_count(values)
    if f"{TEACHER}.CONFIG_FILE" in values:
        values[f"{TEACHER}.CONFIG_FILE"] = digest(_teacher(cfg))
    datasets = [*cfg.DATASETS.TEST, *([] if evaluate_teacher else cfg.DATASETS.TRAIN)]
    values |= {f"annotations of {name}": _annotations(name) for name in datasets}
    return dict(sorted(_without(values, WITHOUT_EFFECT).items()))


def digest(values: Mapping) -> str:
    """Of a fingerprint, as ``sha256:…``."""
    text = json.dumps(values, sort_keys=True, allow_nan=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def different_keys(recorded: Mapping, now: Mapping, neutral: Iterable[str] = ()) -> list[str]:
    """The keys in which two fingerprints differ.

    Args:
        recorded: the older one.
        now: the newer one.
        neutral: keys that ``recorded`` may lack.
    """
    recorded, now = _that_count(recorded), _that_count(now)
    new = {key for key in neutral if key not in recorded}
    keys = (recorded.keys() | now.keys()) - new
    return sorted(key for key in keys if recorded.get(key, ...) != now.get(key, ...))


def shown(keys: list[str], was: Mapping, now: Mapping, at_most: int = 3) -> str:
    """Of keys in which two fingerprints differ, the values, for a message."""

    def value(values: Mapping, key: str) -> str:
        return str(values[key])[:40] if key in values else "nothing"

    parts = [f"{key} was {value(was, key)} and is {value(now, key)}" for key in keys[:at_most]]
    return ", ".join(parts) + (", …" if len(keys) > at_most else "")


def _that_count(values: Mapping) -> Mapping:
    """Without the keys that are read in a distillation alone, where there is none."""
    is_training = f"{OURS}.ENABLED" in values
    distills = values.get("MODEL.META_ARCHITECTURE") == "TADistillRCNN" and values.get(
        f"{OURS}.ENABLED"
    )
    return _without(values, OF_DISTILLATION_ALONE) if is_training and not distills else values


def _differences(cfg: CfgNode) -> dict:
    """What is not as in stock Detectron2's default config."""
    stock = dict(_flat(get_cfg()))
    return {key: value for key, value in _flat(cfg) if key not in stock or value != stock[key]}


def _flat(node: CfgNode, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in node.items():
        if isinstance(value, CfgNode):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _value(value):
    if isinstance(value, str) and value and (REPO / value).is_file():
        return _content(REPO / value)
    return json.loads(json.dumps(value, default=str))  # tuples are lists there


def _teacher(cfg: CfgNode) -> dict:
    """What of the teacher's own config makes its answers."""
    cfg = cfg.clone()
    cfg.defrost()
    node = cfg.MODEL.TADISTILL.TEACHER
    if (REPO / node.CONFIG_FILE).is_file():
        node.CONFIG_FILE = str(REPO / node.CONFIG_FILE)
    values = {k: _value(v) for k, v in _differences(teacher_config(cfg)).items()}
    values = {k: v for k, v in values.items() if k.startswith(("MODEL.", "INPUT.FORMAT"))}
    return _without(values, (f"{OURS}.", "MODEL.WEIGHTS", "MODEL.DEVICE"))


def _annotations(dataset: str) -> str | None:
    path = MetadataCatalog.get(dataset).get("json_file")
    return _content(Path(path)) if path and Path(path).is_file() else None


@cache
def _content(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def _without(values: Mapping, prefixes: tuple[str, ...]) -> dict:
    return {key: value for key, value in values.items() if not key.startswith(prefixes)}
