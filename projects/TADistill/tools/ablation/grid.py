"""The grid: a small YAML whose rows are overrides of one config.

    title: Handwritten digits               # all of these six may be left out
    config: configs/demo/distilled.yaml     # seen from the repository; or --config
    common: {TEST.EVAL_PERIOD: 200}         # overrides of all rows
    budgets:                                # each row is run with each of them
      short: {SOLVER.MAX_ITER: 1000}
      long: {SOLVER.MAX_ITER: 6000}
    neutral: [MODEL.NEW_KEY]                # see trainings/fingerprint.py
    rows_from: choices.yaml                 # beside this file, with rows alone; they come first

    rows:
      teacher: {evaluate_teacher: true}     # no training: its AP, by train_net.py --eval-teacher
      baseline: {title: distillation off, MODEL.TADISTILL.ENABLED: false}
      wide: {config: configs/demo/teacher.yaml, MODEL.FPN.OUT_CHANNELS: 96}

A row's words in small letters are its own; all else are config keys. Anchors work. What comes
later wins: config, common, budget, row. A row of ``rows_from`` that is here too is as it is here.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tadistill.errors import ConfigError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*(_[A-Za-z0-9.+-]+)*")
CONFIG_KEY = re.compile(r"[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)*")
HEADER = {
    "title": str,
    "config": str,
    "common": dict,
    "budgets": dict,
    "neutral": list,
    "rows_from": str,
}
ROW_WORDS = {"title": str, "config": str, "evaluate_teacher": bool}


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: of its files.
        title: what it is, for a reader.
        overrides: by dotted config key.
        config: of its own; None: the grid's.
        evaluate_teacher: it has no training.
    """

    name: str
    title: str = ""
    overrides: dict = field(default_factory=dict)
    config: str | None = None
    evaluate_teacher: bool = False


@dataclass(frozen=True)
class Grid:
    """What a grid file says; the attributes are its words."""

    path: Path
    rows: dict[str, Row]
    title: str
    config: str | None = None
    common: dict = field(default_factory=dict)
    budgets: dict[str, dict] = field(default_factory=dict)
    neutral: tuple[str, ...] = ()


def load_grid(path: Path) -> Grid:
    """Reads a grid.

    Raises:
        ConfigError: naming the file and the row, if it is not as described above.
    """
    header, rows = _read(path)
    if "rows_from" in header:
        others = path.parent / header.pop("rows_from")
        other_header, other_rows = _read(others)
        if other_header:
            raise ConfigError(
                f"--grid {path}: rows_from {others} has more than rows: {[*other_header]}"
            )
        rows = other_rows | rows
    budgets = header.pop("budgets", {})
    for name, overrides in [("common", header.get("common", {})), *budgets.items()]:
        _check_name(name, f"--grid {path}: budget {name!r}")
        _check_overrides(overrides, f"--grid {path}: {name}")
    return Grid(
        path=path,
        rows=rows,
        title=header.pop("title", path.stem),
        budgets=budgets,
        neutral=tuple(header.pop("neutral", ())),
        **header,
    )


def _read(path: Path) -> tuple[dict, dict[str, Row]]:
    """The words at its head, and the rows."""
    try:
        content = yaml.load(path.read_text(), _Loader)
    except OSError as error:
        raise ConfigError(f"--grid {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"--grid {path} is not YAML: {error}") from error
    if isinstance(content, dict) and "rows_from" in content:
        content = {"rows": {}, **content}
    if not isinstance(content, dict) or not isinstance(content.get("rows"), dict):
        raise ConfigError(f"--grid {path} has no rows: it wants a mapping, rows: {{name: …}}")
    header = {word: content[word] for word in content if word != "rows"}
    _check_words(header, HEADER, f"--grid {path}")
    return header, {name: _row(name, row, path) for name, row in content["rows"].items()}


def _row(name, content, path: Path) -> Row:
    where = f"--grid {path}: row {name!r}"
    _check_name(name, where)
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise ConfigError(f"{where} is {content!r}; it must be a mapping of config keys to values")
    words = {word: content[word] for word in content if word in ROW_WORDS}
    _check_words(words, ROW_WORDS, where)
    overrides = {key: value for key, value in content.items() if key not in ROW_WORDS}
    _check_overrides(overrides, where)
    return Row(name=name, overrides=overrides, **words)


def _check_name(name, where: str) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ConfigError(f"{where} must have a name of letters and digits, as a file has")


def _check_words(words: dict, kinds: dict[str, type], where: str) -> None:
    for word, value in words.items():
        if word not in kinds:
            raise ConfigError(f"{where} has {word!r}; it may have {', '.join(kinds)} and rows")
        if not isinstance(value, kinds[word]):
            raise ConfigError(
                f"{where} has {word}: {value!r}; that must be a {kinds[word].__name__}"
            )


def _check_overrides(overrides, where: str) -> None:
    if not isinstance(overrides, dict):
        raise ConfigError(f"{where} is {overrides!r}; it must map config keys to values")
    for key, value in overrides.items():
        if not isinstance(key, str) or not CONFIG_KEY.fullmatch(key):
            raise ConfigError(
                f"{where} has {key!r}, which is neither a dotted config key, as in "
                f"SOLVER.MAX_ITER, nor one of {', '.join(ROW_WORDS)}"
            )
        if isinstance(value, dict):
            raise ConfigError(f"{where} has a mapping for {key}; write the keys out, {key}.…: …")


class _Loader(yaml.SafeLoader):
    """Of two rows of one name, plain YAML would keep the second and say nothing."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = {key for key in keys if isinstance(key, str) and keys.count(key) > 1}
        if twice and not getattr(node, "merged", False):
            raise yaml.constructor.ConstructorError(
                None, None, f"{', '.join(sorted(twice))} is there twice", node.start_mark
            )
        node.merged = True
        return super().construct_mapping(node, deep)
