"""Curves as numbers."""

import numpy as np
import pytest
from picture.series import mean_curve, running_mean, spread_labels


def test_mean_curve_uses_the_iterations_of_all_seeds():
    curves = {0: [(20, 4.0), (10, 1.0)], 1: [(10, 3.0), (20, 6.0), (30, 9.0)]}
    iterations, means = mean_curve(curves)
    assert list(iterations) == [10, 20]
    assert list(means) == [2.0, 5.0]


def test_running_mean_is_shorter_at_the_ends():
    assert list(running_mean([0, 3, 6, 0], 3)) == [1.5, 3, 3, 3]
    assert list(running_mean([1, 5], 1)) == [1, 5]


def test_spread_labels_keeps_order_and_distance():
    spread = spread_labels([0.50, 0.10, 0.51, 0.52], 0.1)
    assert list(np.argsort(spread)) == [1, 0, 2, 3]
    assert np.diff(np.sort(spread)).min() >= 0.1 - 1e-5
    assert spread[1] == pytest.approx(0.10)
