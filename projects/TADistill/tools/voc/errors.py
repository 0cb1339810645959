"""What cannot be converted, and how it is told."""

from collections.abc import Iterable


class ConversionError(ValueError):
    """What is the user's to mend: the message names the file and what was found in it."""


def first_few(items: Iterable) -> str:
    """At most four of them, separated by commas."""
    items = list(items)
    return ", ".join(map(str, items[:4])) + (", ..." if len(items) > 4 else "")
