"""Curves as numbers, and where their labels go."""

import numpy as np


def mean_curve(curves):
    """The mean of several seeds' curves, at the iterations that all of them have.

    Args:
        curves (dict): seed to ``[(iteration, value), …]``.

    Returns:
        tuple[ndarray, ndarray]: iterations (P,), ascending, and mean values (P,).
    """
    tables = [dict(curve) for curve in curves.values()]
    iterations = sorted(set.intersection(*(set(table) for table in tables)))
    means = [np.mean([table[iteration] for table in tables]) for iteration in iterations]
    return np.array(iterations), np.array(means)


def running_mean(values, window):
    """Centred mean over at most ``window`` values (N,), shorter at the ends: (N,)."""
    half = window // 2
    return np.array([np.mean(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])


def spread_labels(heights, gap):
    """Move label heights apart until neighbours are at least ``gap`` apart, keeping their order."""
    order = np.argsort(heights, kind="stable")
    placed = np.array(heights, dtype=np.float64)[order]
    for _ in range(200):
        lack = gap - np.diff(placed)
        if (lack <= 1e-6).all():
            break
        push = np.clip(lack, 0, None) / 2
        placed[:-1] -= push
        placed[1:] += push
    spread = np.empty_like(placed)
    spread[order] = placed
    return spread
