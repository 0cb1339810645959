"""Text files of names, one a line."""

from pathlib import Path

from .errors import ConversionError, first_few


def read_list(path: Path) -> list[str]:
    """The lines of a text file (UTF-8), without blank ones.

    Raises:
        ConversionError: if it cannot be read, is empty, or has a line twice.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConversionError(f"{path} cannot be read: {error}") from error
    entries = [line for line in lines if line]
    if not entries:
        raise ConversionError(f"{path} is empty: it needs one name a line")
    seen = set()
    twice = [entry for entry in entries if entry in seen or seen.add(entry)]
    if twice:
        raise ConversionError(f"{path} names {len(twice)} twice: {first_few(twice)}")
    return entries
