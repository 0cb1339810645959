"""The grid file: what it says, and errors that name the file and the row."""

import pytest
from ablation.grid import load_grid

from tadistill.errors import ConfigError


def grid(tmp_path, text):
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    return load_grid(path)


def test_rows_are_in_the_order_of_the_file(tmp_path):
    rows = grid(tmp_path, "rows: {b: {}, a: , c: {SEED: 3}}").rows
    assert list(rows) == ["b", "a", "c"]
    assert rows["c"].overrides == {"SEED": 3}


def test_words_of_a_row_are_not_overrides(tmp_path):
    row = grid(tmp_path, "rows: {t: {title: T, config: c.yaml, evaluate_teacher: true}}").rows["t"]
    assert (row.title, row.config, row.evaluate_teacher) == ("T", "c.yaml", True)
    assert row.overrides == {}


def test_anchors_work_and_may_be_overridden(tmp_path):
    text = "rows:\n  a: &a {SEED: 1, VIS_PERIOD: 2}\n  b: {<<: *a, SEED: 3}\n  c: *a\n"
    rows = grid(tmp_path, text).rows
    assert rows["b"].overrides == {"SEED": 3, "VIS_PERIOD": 2}
    assert rows["c"].overrides == rows["a"].overrides


def test_rows_of_another_file_come_first_unless_they_are_here_too(tmp_path):
    (tmp_path / "choices.yaml").write_text("rows: {a: {SEED: 1}, b: {SEED: 2}}")
    rows = grid(tmp_path, "rows_from: choices.yaml\nrows: {c: {}, a: {SEED: 3}}").rows
    assert list(rows) == ["a", "b", "c"]
    assert [rows[name].overrides.get("SEED") for name in rows] == [3, 2, None]
    assert list(grid(tmp_path, "rows_from: choices.yaml").rows) == ["a", "b"]


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (None, "choices.yaml cannot be read"),
        ("rows: {a: 5}", "choices.yaml: row 'a' is 5"),
        ("budgets: {}\nrows: {}", "choices.yaml has more than rows: ['budgets']"),
    ],
)
def test_what_is_wrong_with_the_other_file_is_named(tmp_path, others, message):
    if others is not None:
        (tmp_path / "choices.yaml").write_text(others)
    with pytest.raises(ConfigError) as error:
        grid(tmp_path, "rows_from: choices.yaml\nrows: {}")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows: [", "is not YAML"),
        ("rows: !!python/name:os.system {}", "is not YAML"),
        ("[1, 2]", "has no rows"),
        ("rows: [a, b]", "has no rows"),
        ("budget: {}\nrows: {a: {}}", "has 'budget'; it may have title, config, common, budgets"),
        ("title: 5\nrows: {a: {}}", "has title: 5; that must be a str"),
        ("rows: {a: 5}", "row 'a' is 5; it must be a mapping"),
        ("rows: {a: {tittle: x}}", "row 'a' has 'tittle', which is neither a dotted config key"),
        ("rows: {a: {MODEL: {X: 1}}}", "row 'a' has a mapping for MODEL; write the keys out"),
        ("rows: {a: {evaluate_teacher: 1}}", "row 'a' has evaluate_teacher: 1; that must be"),
        ("rows: {a/b: {}}", "row 'a/b' must have a name of letters and digits"),
        ("rows: {a: {SEED: 1}, a: {SEED: 2}}", "a is there twice"),
        ("budgets: {x: 5}\nrows: {a: {}}", "x is 5; it must map config keys to values"),
        ("common: {x: 5}\nrows: {a: {}}", "common has 'x', which is neither"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(ConfigError) as error:
        grid(tmp_path, text)
    assert message in str(error.value)
    assert "grid.yaml" in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"--grid .*none\.yaml cannot be read"):
        load_grid(tmp_path / "none.yaml")
