"""The one kind of error that is the user's to mend, and how its messages list things."""

from collections.abc import Sequence


class ConfigError(ValueError):
    """A config key, a file or an argument is wrong; the message names it, says what was found and
    what to do. ``train_net.py`` prints it without a traceback.
    """


def first_few(items: Sequence) -> str:
    """The first four, as text."""
    return ", ".join(map(str, items[:4])) + (", …" if len(items) > 4 else "")
