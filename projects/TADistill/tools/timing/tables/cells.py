"""How a figure reads in a table."""

from collections.abc import Iterator, Mapping

RATIOS = ("c / (a + b)", "fastest quarter", "c / a")


def three_digits(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{float(f'{value:.3g}'):g}"


def seconds(figures: Mapping) -> str:
    """Median and quartiles."""
    median, q1, q3 = (three_digits(figures[key]) for key in ("median", "q1", "q3"))
    return f"{median} ({q1} to {q3})"


def milliseconds(seconds: float) -> str:
    """Of seconds."""
    return three_digits(1e3 * seconds)


def megabytes(size: int) -> str:
    """Of bytes."""
    return f"{size / 1e6:.1f}"


def ratio(figures: Mapping) -> str:
    """Median and quartiles."""
    return f"{figures['median']:.3f} ({figures['q1']:.3f} to {figures['q3']:.3f})"


def ratios(figures: Mapping) -> Iterator[str]:
    """The cells of the columns ``RATIOS``."""
    both = figures["c / (a + b)"]
    fastest = f"{both['of_fastest']:.3f}" if "of_fastest" in both else ""
    yield from (ratio(both), fastest, ratio(figures["c / a"]))
