"""Medians, quartiles, ratios and exponents, by hand."""

import pytest
from timing.summary import difference, exponent, quartiles, ratio


def test_quartiles_are_those_of_the_values():
    assert quartiles([5, 1, 3, 2, 4]) == {"median": 3, "q1": 2, "q3": 4}


def test_single_value_is_its_own_spread():
    assert quartiles([2.5]) == {"median": 2.5, "q1": 2.5, "q3": 2.5}


def test_ratio_is_taken_round_by_round_and_of_the_medians():
    a, b, c = [1.0, 2.0, 4.0], [1.0, 2.0, 1.0], [4.0, 8.0, 5.0]
    # Rounds: 4 / 2, 8 / 4, 5 / 5. Medians: 5 / (2 + 1).
    assert ratio([c], [a, b]) == {"of_medians": 1.6667, "median": 2.0, "q1": 1.5, "q3": 2.0}


def test_disturbance_of_one_round_leaves_the_ratio_of_the_rounds_alone():
    a, c = [1.0, 1.0, 50.0, 1.0, 1.0], [1.5, 1.5, 75.0, 1.5, 1.5]
    assert ratio([c], [a])["median"] == ratio([c], [a])["q3"] == 1.5


def test_difference_is_taken_round_by_round():
    assert difference([[3.0, 5.0, 7.0]], [[1.0, 1.0, 1.0], [1.0, 2.0, 3.0]])["median"] == 2.0


def test_sides_of_different_lengths_are_not_compared():
    with pytest.raises(ValueError, match="argument"):
        ratio([[1.0, 2.0]], [[1.0]])


@pytest.mark.parametrize("k", [0.5, 1, 2])
def test_exponent_of_a_power(k):
    sizes = [1, 10, 50, 500]
    assert exponent(sizes, [3e-4 * size**k for size in sizes]) == pytest.approx(k, abs=1e-3)
