"""Medians, quartiles, ratios and exponents, by hand."""

import random
from math import log

import pytest
from timing.summary import difference, exponent, median_interval, quartiles, ratio


def test_quartiles_are_those_of_the_values():
    assert quartiles([5, 1, 3, 2, 4]) == {"median": 3, "q1": 2, "q3": 4}


def test_single_value_is_its_own_spread():
    assert quartiles([2.5]) == {"median": 2.5, "q1": 2.5, "q3": 2.5}


def test_ratio_is_taken_round_by_round_and_of_the_medians():
    a, b, c = [1.0, 2.0, 4.0], [1.0, 2.0, 1.0], [4.0, 8.0, 5.0]
    # Rounds: 4 / 2, 8 / 4, 5 / 5. Medians: 5 / (2 + 1).
    figures = ratio([c], [a, b])
    assert (figures["q1"], figures["median"], figures["q3"]) == (1.5, 2.0, 2.0)
    assert figures["of_medians"] == 1.6667
    assert figures["of_fastest"] == 4 / (1 + 1)


def test_disturbance_of_one_round_leaves_the_ratio_of_the_rounds_alone():
    a, c = [1.0, 1.0, 50.0, 1.0, 1.0], [1.5, 1.5, 75.0, 1.5, 1.5]
    assert ratio([c], [a])["median"] == ratio([c], [a])["q3"] == 1.5


def test_fastest_quarter_is_of_the_undisturbed_rounds():
    a, c = [1.0, 1.0, 1.0, 9.0, 9.0, 9.0, 9.0, 9.0], [5.0, 1.2, 5.0, 1.4, 5.0, 5.0, 5.0, 5.0]
    assert ratio([c], [a])["of_fastest"] == 1.3


@pytest.mark.parametrize(
    ("count", "ranks"), [(5, (0, 4)), (6, (0, 5)), (10, (1, 8)), (30, (9, 20))]
)
def test_interval_of_the_median_is_that_of_the_sign_test(count, ranks):
    """The ranks of the tables, counted from 0."""
    assert median_interval(range(count)) == ranks


def test_interval_covers_the_median_as_often_as_it_says():
    draw = random.Random(0)
    covered = 0
    for _ in range(2000):
        low, high = median_interval([draw.expovariate(1.0) for _ in range(30)])
        covered += low <= log(2) <= high
    assert 0.94 < covered / 2000 < 0.98


def test_difference_is_taken_round_by_round():
    assert difference([[3.0, 5.0, 7.0]], [[1.0, 1.0, 1.0], [1.0, 2.0, 3.0]])["median"] == 2.0


def test_sides_of_different_lengths_are_not_compared():
    with pytest.raises(ValueError, match="argument"):
        ratio([[1.0, 2.0]], [[1.0]])


@pytest.mark.parametrize("k", [0.5, 1, 2])
def test_exponent_of_a_power(k):
    sizes = [1, 10, 50, 500]
    assert exponent(sizes, [3e-4 * size**k for size in sizes]) == pytest.approx(k, abs=1e-3)
