"""From seconds of each round to medians with quartiles, and to ratios of sides."""

from collections.abc import Sequence
from math import comb, log
from statistics import linear_regression, mean, median, quantiles


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles; all the same of a single value."""
    if len(values) == 1:
        values = [*values, *values]
    q1, middle, q3 = quantiles(values, n=4, method="inclusive")
    return {"median": _short(middle), "q1": _short(q1), "q3": _short(q3)}


def ratio(numerator: Sequence[Sequence[float]], denominator: Sequence[Sequence[float]]) -> dict:
    """``sum numerator / sum denominator``, of sides that were measured in the same rounds.

    Args:
        numerator, denominator: sides, each its seconds round by round.

    Returns:
        Of the ratios of the single rounds: median, quartiles, and ``low`` and ``high``, between
        which their true median lies with 95 % confidence. Besides ``of_medians``, the ratio of
        the sums of the sides' medians, and ``of_fastest``, that of the means of each side's fastest
        quarter: what disturbs a machine makes it slower, never faster.
    """
    of_rounds = [n / d for n, d in zip(_by_round(numerator), _by_round(denominator), strict=True)]
    of_medians = sum(map(median, numerator)) / sum(map(median, denominator))
    of_fastest = sum(map(_fastest, numerator)) / sum(map(_fastest, denominator))
    low, high = median_interval(of_rounds)
    return {
        **quartiles(of_rounds),
        "low": _short(low),
        "high": _short(high),
        "of_medians": _short(of_medians),
        "of_fastest": _short(of_fastest),
    }


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Between which two of the values the true median lies: each value is above or below it as a
    coin falls, whatever their distribution. Of fewer than six, the smallest and the largest.
    """
    values, n = sorted(values), len(values)
    below = [comb(n, k) / 2**n for k in range(n + 1)]  # P(k values are below the median)
    rank = 0
    while sum(below[: rank + 2]) <= (1 - confidence) / 2:
        rank += 1
    return values[rank], values[n - 1 - rank]


def difference(minuend: Sequence[Sequence[float]], subtrahend: Sequence[Sequence[float]]) -> dict:
    """As :func:`ratio`: median and quartiles of ``sum minuend - sum subtrahend`` in each round."""
    return quartiles(
        [m - s for m, s in zip(_by_round(minuend), _by_round(subtrahend), strict=True)]
    )


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """``k`` of ``seconds ~ sizes^k``: the slope of a least-squares line through the logarithms.

    Costs that do not depend on the size make it smaller, so it is to be taken where they do.
    """
    return round(linear_regression(list(map(log, sizes)), list(map(log, seconds))).slope, 3)


def _fastest(seconds: Sequence[float]) -> float:
    return mean(sorted(seconds)[: max(1, len(seconds) // 4)])


def _by_round(sides: Sequence[Sequence[float]]) -> list[float]:
    return [sum(of_round) for of_round in zip(*sides, strict=True)]


def _short(value: float) -> float:
    """Five digits: what follows them is noise."""
    return float(f"{value:.5g}")
