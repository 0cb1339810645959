"""What ``tools/compare.py`` found, a line each."""

from collections.abc import Sequence
from pathlib import Path

from tadistill.errors import ConfigError

from .markdown import cell
from .record import read_record
from .table import spread


def bootstrap_table(folder: Path, names: Sequence[str]) -> str:
    """A paired bootstrap a line.

    Args:
        folder: of what ``compare.py`` wrote with ``--json``.
        names: of the files, without their ending.

    Raises:
        ConfigError: if there is no such file.
    """
    lines = [
        "| | images | first | second | second - first | sd over images | 95 % of the draws "
        "| standard error by both |",
        "| --- |" + " ---: |" * 7,
    ]
    return "\n".join(lines + [_line(read_bootstrap(folder, name)) for name in names])


def read_bootstrap(folder: Path, name: str) -> dict:
    """One of these files.

    Raises:
        ConfigError: if there is none.
    """
    path = folder / f"{name}.json"
    found = read_record(path)
    if found is None:
        raise ConfigError(f"there is no {path}")
    return found


def _line(found: dict) -> str:
    first, second = ([pair[side] for pair in found["aps"]] for side in (0, 1))
    overall, error = found["overall"], found["standard_error"]
    cells = [
        found["title"],
        f"{found['images']}",
        cell(spread(_once(first))),
        cell(spread(_once(second))),
        cell(spread(found["by_pair"]), "{:+.1f}"),
        f"{overall['sd_over_images']:.1f}",
        f"{overall['low']:+.1f} to {overall['high']:+.1f}",  # the sign of a zero says its side
        f"{error:.1f}" if error is not None else "-",
    ]
    return "| " + " | ".join(cells) + " |"


def _once(aps: Sequence[float]) -> Sequence[float]:
    """One detector that was paired with several has no spread."""
    return aps[:1] if len(set(aps)) == 1 else aps
