"""How long it will still take."""

from collections.abc import Iterable, Mapping
from statistics import mean


def seconds_left(
    left: Mapping[str, Iterable[int]], rates: Iterable[tuple[str, float]], at_once: int
) -> float | None:
    """An estimate over all runs.

    Args:
        left: by row, the iterations that are left of each of its runs.
        rates: (row, seconds an iteration, evaluations and all), as measured of finished runs and
            of those at work.
        at_once: how many runs there are at a time.

    Returns:
        Seconds. A row of which nothing is known yet is taken for an average one; None if
        nothing is known at all.
    """
    by_row: dict[str, list[float]] = {}
    for row, rate in rates:
        by_row.setdefault(row, []).append(rate)
    if not by_row:
        return None
    average = mean(mean(rates) for rates in by_row.values())
    runs = [
        iterations * (mean(by_row[row]) if row in by_row else average)
        for row, of_runs in left.items()
        for iterations in of_runs
    ]
    return max([sum(runs) / at_once, *runs])


def as_time(seconds: float | None) -> str:
    """``3 h 20 min``."""
    if seconds is None:
        return "some time"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
