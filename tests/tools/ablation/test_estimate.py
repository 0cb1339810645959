"""The time that is left, against sums by hand."""

import pytest
from ablation.estimate import as_time, seconds_left


def test_nothing_is_known_at_first():
    assert seconds_left({"a": [100]}, [], 2) is None


def test_work_is_shared_among_those_at_once():
    # 2 x 100 x 0.5 + 100 x 1.0 = 200 seconds of work
    left = {"a": [100, 100], "b": [100]}
    assert seconds_left(left, [("a", 0.4), ("a", 0.6), ("b", 1.0)], 2) == pytest.approx(100)


def test_a_row_of_which_nothing_is_known_is_an_average_one():
    assert seconds_left({"c": [10]}, [("a", 0.5), ("b", 1.5)], 1) == pytest.approx(10)


def test_the_longest_run_takes_its_time():
    assert seconds_left({"a": [100], "b": [1]}, [("a", 1.0), ("b", 1.0)], 8) == pytest.approx(100)


def test_nothing_left_takes_no_time():
    assert seconds_left({}, [("a", 1.0)], 2) == 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "some time"), (20, "0 min"), (3540, "59 min"), (7500, "2 h 5 min")]
)
def test_as_time(seconds, text):
    assert as_time(seconds) == text
