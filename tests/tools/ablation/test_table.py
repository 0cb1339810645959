"""The table's arithmetic, against numbers computed by hand."""

import json
import math

import pytest
from ablation.markdown import markdown_table
from ablation.table import Spread, differences, gap_closed, load_table, spread
from toy_records import record

from tadistill.errors import ConfigError


@pytest.fixture
def rows(recorded):
    return {row.name: row for row in load_table(recorded)}


def write_taught(folder, name, ap, teacher, seed=0, **values):
    """A record of a row that has a teacher."""
    content = record(name, seed, ap, **values)
    content["depends_on"]["MODEL.TADISTILL.TEACHER.WEIGHTS"] = teacher
    (folder / f"{name}_{seed}.json").write_text(json.dumps(content))


def test_mean_and_sample_standard_deviation(rows):
    assert rows["baseline"].scores["AP"] == Spread(12.0, 2.0, 3)
    assert rows["all"].scores["AP"] == Spread(14.5, pytest.approx(math.sqrt(4.5)), 2)
    assert rows["teacher"].scores["AP"] == Spread(16.0, None, 1)
    assert rows["all"].scores["APl"] is None


def test_gain_is_paired_by_seed_over_the_seeds_that_both_have(rows):
    # 13 - 10 and 16 - 12; the baseline's third seed has no partner
    assert rows["all"].gains == {0: 3.0, 1: 4.0}
    assert rows["baseline"].gains == {}
    assert rows["teacher"].gains == {}


def test_beside_the_defaults_is_paired_by_seed_too(recorded):
    (recorded / "balance_1.json").write_text(json.dumps(record("balance", 1, 18.0)))
    rows = {row.name: row for row in load_table(recorded)}
    assert rows["all"].beside_defaults == {1: -2.0}
    for name in ("baseline", "teacher", "balance"):
        assert rows[name].beside_defaults == {}


def test_share_of_the_gap_is_of_the_same_seeds(rows):
    # (14.5 - 11) / (16 - 11)
    assert rows["all"].gap_closed == pytest.approx(0.7)


def test_the_papers_own_figures():
    assert gap_closed({0: 39.0}, {0: 36.3}, 38.5) == pytest.approx(1.227, abs=1e-3)


def test_no_gap_where_the_teacher_is_no_better():
    assert gap_closed({0: 39.0}, {0: 36.3}, 36.3) is None
    assert gap_closed({0: 39.0}, {0: 36.3}, None) is None
    assert gap_closed({1: 39.0}, {0: 36.3}, 40.0) is None


def test_values_that_are_missing_do_not_count():
    assert spread([None, 2.0, None]) == Spread(2.0, None, 1)
    assert spread([None]) is None
    assert differences({0: 1.0}, {1: 2.0}) == {}


def test_seeds_that_were_made_otherwise_are_refused(recorded):
    other = record("all", 2, 14.0)
    other["depends_on"]["SOLVER.BASE_LR"] = 0.5
    (recorded / "all_2.json").write_text(json.dumps(other))
    with pytest.raises(ConfigError, match=r"the seeds of row 'all' differ in SOLVER.BASE_LR"):
        load_table(recorded)


def test_rows_of_other_data_are_refused(recorded):
    other = record("more", 0, 14.0)
    other["depends_on"]["annotations of v"] = "sha256:2"
    (recorded / "more_0.json").write_text(json.dumps(other))
    with pytest.raises(ConfigError, match=r"row 'more' has other annotations of v"):
        load_table(recorded)


def test_rows_of_another_teacher_are_refused(recorded):
    for name, teacher in (("more", "sha256:1"), ("other", "sha256:2")):
        write_taught(recorded, name, 14.0, teacher)
    with pytest.raises(ConfigError, match=r"row 'other' has other MODEL.TADISTILL.TEACHER.WEIGHTS"):
        load_table(recorded)


def test_of_several_teachers_each_row_has_its_own(recorded):
    write_taught(recorded, "teacher", 16.0, "sha256:1", evaluates_teacher=True, seed=None)
    write_taught(recorded, "teacher_2", 20.0, "sha256:2", evaluates_teacher=True, seed=None)
    write_taught(recorded, "of_first", 13.0, "sha256:1")
    write_taught(recorded, "of_second", 15.0, "sha256:2")
    rows = {row.name: row for row in load_table(recorded)}
    # (13 - 10) / (16 - 10), (15 - 10) / (20 - 10); "all" has none, and is beside the first
    assert rows["of_first"].gap_closed == pytest.approx(0.5)
    assert rows["of_second"].gap_closed == pytest.approx(0.5)
    assert rows["all"].gap_closed == pytest.approx(0.7)
    assert rows["teacher_2"].is_teacher
    assert "with each row's own teacher" in markdown_table(list(rows.values()))


def test_a_teacher_that_is_none_of_the_evaluated_is_refused(recorded):
    write_taught(recorded, "teacher", 16.0, "sha256:1", evaluates_teacher=True, seed=None)
    write_taught(recorded, "other", 13.0, "sha256:2")
    with pytest.raises(ConfigError, match=r"row 'other' has .* no row with evaluate_teacher"):
        load_table(recorded)


def test_budgets_are_tables_of_their_own_with_one_teacher(recorded):
    (recorded / "long").mkdir()
    (recorded / "long/b.json").write_text(json.dumps(record("baseline", 0, 15.0, budget="long")))
    rows = {row.name: row for row in load_table(recorded, "long")}
    assert list(rows) == ["baseline", "teacher"]
    assert rows["baseline"].scores["AP"] == Spread(15.0, None, 1)


def test_nothing_recorded_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="there is no record in"):
        load_table(tmp_path)
