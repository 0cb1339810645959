"""A grid of two rows and two budgets, and records."""

import json

import pytest
from tiny import student_cfg
from toy_records import toy_records

GRID = """
title: Tiny
config: {config}
common: {{SOLVER.IMS_PER_BATCH: 2}}
budgets:
  short: {{SOLVER.MAX_ITER: 4, TEST.EVAL_PERIOD: 2}}
  long: {{SOLVER.MAX_ITER: 8, TEST.EVAL_PERIOD: 4}}
rows:
  teacher: {{evaluate_teacher: true}}
  baseline: {{MODEL.TADISTILL.ENABLED: false}}
  all: {{title: all terms, MODEL.TADISTILL.BOX.WEIGHT: 2}}
"""


@pytest.fixture
def grid_file(tmp_path, teacher_files):
    """A grid on a config of tiny models."""
    config = tmp_path / "distilled.yaml"
    cfg = student_cfg(
        teacher_files,
        *("DATASETS.TRAIN", ("tiny_train",), "DATASETS.TEST", ("tiny_val",)),
        *("SOLVER.STEPS", (), "SOLVER.CHECKPOINT_PERIOD", 3),
    )
    config.write_text(cfg.dump())
    path = tmp_path / "tiny.yaml"
    path.write_text(GRID.format(config=config))
    return path


@pytest.fixture
def recorded(tmp_path):
    """The toy records, as files."""
    folder = tmp_path / "recorded/toy"
    folder.mkdir(parents=True)
    for content in toy_records():
        name = "_".join(str(content[key]) for key in ("row", "seed"))
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder
