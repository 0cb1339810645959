"""Which runs a grid asks for, in which order, with which config."""

import pytest
from ablation.grid import load_grid
from ablation.runs import row_runs

import train_net
from tadistill.data import register_coco
from tadistill.engine import argument_parser
from tadistill.errors import ConfigError


@pytest.fixture
def runs_of(grid_file, coco_files, registered_datasets, tmp_path):
    """The runs of the tiny grid, or of one of other text."""
    data = (str(coco_files.annotations), str(coco_files.images))
    register_coco([("tiny_train", *data), ("tiny_val", *data)])

    def runs(seeds=(0, 1), change=("", ""), **values):
        grid_file.write_text(grid_file.read_text().replace(*change))
        places = {"output": tmp_path / "out", "records": tmp_path / "rec"}
        return row_runs(load_grid(grid_file), seeds, **places, **values)

    return runs


def test_all_rows_have_their_first_seed_before_any_has_its_second(runs_of):
    assert [run.name for run in runs_of()] == [
        "teacher",
        *("baseline, short, seed 0", "all, short, seed 0"),
        *("baseline, long, seed 0", "all, long, seed 0"),
        *("baseline, short, seed 1", "all, short, seed 1"),
        *("baseline, long, seed 1", "all, long, seed 1"),
    ]


def test_rows_and_budgets_can_be_chosen(runs_of):
    runs = runs_of(rows=["all", "teacher"], budgets=["long"])
    assert [run.name for run in runs] == ["teacher", "all, long, seed 0", "all, long, seed 1"]


def test_every_run_has_a_folder_and_a_record_of_its_own(runs_of, tmp_path):
    runs = runs_of()
    assert runs[2].record == tmp_path / "rec/short/all_seed0.json"
    assert runs[2].run.directory == tmp_path / "out/short/all_seed0"
    assert len({run.record for run in runs}) == len({run.run.directory for run in runs}) == 9


def test_what_comes_later_wins(runs_of):
    change = ("all: {", "all: {SOLVER.MAX_ITER: 5, ")
    (run,) = runs_of([7], change, rows=["all"], budgets=["long"], opts=["SOLVER.BASE_LR", "0.5"])
    solver = run.cfg.SOLVER
    assert (solver.IMS_PER_BATCH, solver.MAX_ITER, solver.BASE_LR) == (2, 5, 0.5)  # common, row
    assert (run.cfg.TEST.EVAL_PERIOD, run.cfg.SEED, run.run.iterations) == (4, 7, 5)


def test_a_whole_number_is_taken_where_a_key_wants_another(runs_of):
    run = runs_of(rows=["all"])[0]
    assert run.cfg.MODEL.TADISTILL.BOX.WEIGHT == 2.0
    assert run.run.overrides[run.run.overrides.index("MODEL.TADISTILL.BOX.WEIGHT") + 1] == "2.0"


def test_checkpoints_are_written_often(runs_of):
    run = runs_of(change=("SOLVER.MAX_ITER: 8", "SOLVER.MAX_ITER: 40"), budgets=["long"])[1]
    assert run.run.overrides[-2:] == ["SOLVER.CHECKPOINT_PERIOD", "2"]


def test_train_net_sees_the_same_config(runs_of):
    run = runs_of(rows=["all"])[0]
    cfg = train_net.setup(argument_parser().parse_args(run.run.arguments))
    cfg.OUTPUT_DIR = run.cfg.OUTPUT_DIR
    cfg.SOLVER.CHECKPOINT_PERIOD = run.cfg.SOLVER.CHECKPOINT_PERIOD
    assert cfg == run.cfg


@pytest.mark.parametrize(
    ("change", "values", "message"),
    [
        (("BOX.WEIGHT", "BOXES.WEIGHT"), {}, r"row 'all' has MODEL.TADISTILL.BOXES.WEIGHT, which"),
        (("BOX.WEIGHT: 2", "BOX.WEIGHT: much"), {}, r"row 'all' is .*Type mismatch"),
        (("all: {", "all: {config: no.yaml, "), {}, r"row 'all': there is no file .*no\.yaml"),
        (("config:", "title:"), {}, r"row 'teacher' has no config: give --config"),
        (("", ""), {"rows": ["none"]}, r"--rows none: .* has teacher, baseline, all"),
        (("", ""), {"budgets": ["none"]}, r"--budgets none: .* has short, long"),
        (("common: {", "common: {DATASETS.TEST: [], "), {}, r"has 0 data sets in DATASETS.TEST"),
        (("common: {", "common: {DATASETS.TEST: [a, b], "), {}, r"has 2 data sets in DATASETS.T"),
        (("common: {", "common: {OUTPUT_DIR: here, "), {}, r"sets OUTPUT_DIR, which each run"),
    ],
)
def test_what_is_wrong_is_named(runs_of, grid_file, change, values, message):
    if change[0] == "config:":
        text = grid_file.read_text().replace("title: Tiny\n", "")
        grid_file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        runs_of(change=change, **values)
