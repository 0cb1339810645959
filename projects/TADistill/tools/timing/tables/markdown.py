"""Rows of cells made a Markdown table."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import wraps

from .recorded import Recorded

Cells = Iterable[object]


def lines(columns: Sequence[str], rows: Iterable[Cells]) -> Iterator[str]:
    """The lines of a table; none where it would have no row."""
    rows = list(rows)
    if rows:
        for cells in (columns, ["---"] * len(columns), *rows):
            yield "| " + " | ".join(map(str, cells)) + " |"


def table(*columns: str) -> Callable:
    """Makes a function that yields rows from what was recorded into one that yields lines."""

    def decorate(rows: Callable[[Recorded], Iterator[Cells]]) -> Callable:
        @wraps(rows)
        def in_lines(recorded: Recorded) -> Iterator[str]:
            return lines(columns, rows(recorded))

        return in_lines

    return decorate
