"""What a row has seed by seed, alone or over another row, of all classes or of one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tadistill.errors import ConfigError

from .markdown import cell, rounded
from .table import TableRow, chosen, differences, spread

FORM = "ROW [over ROW] [of CLASS] [seeds SEED …]"
_WORDS = re.compile(
    r"(?P<row>\S+)(?: over (?P<other>\S+))?(?: of (?P<of>.+?))?(?: seeds(?P<seeds>(?: \d+)+))?"
)


@dataclass(frozen=True)
class BySeed:
    """AP by seed, or a difference of AP.

    Attributes:
        values: by seed.
        signed: a difference, which is shown with its sign.
    """

    values: Mapping[int | None, float]
    signed: bool


def seeds_of(rows: Sequence[TableRow], words: Sequence[str]) -> BySeed:
    """The AP of a row's seeds, or what they have over another row's.

    A teacher is one model: each seed is compared with the same AP of it.

    Args:
        rows: of a table.
        words: of :data:`FORM`.

    Raises:
        ConfigError: if they are of another form, or name what is not there.
    """
    found = _WORDS.fullmatch(" ".join(words))
    if not found:
        raise ConfigError(f"it must have {FORM}")
    aps = _of_seeds(found, _aps(rows, found["row"], found["of"]))
    if found["other"] is None:
        return BySeed(aps, signed=False)
    others = _aps(rows, found["other"], found["of"])
    if None in others:
        others = dict.fromkeys(aps, others[None])
    over = differences(aps, others)
    if not over:
        raise ConfigError(f"{found['row']!r} and {found['other']!r} have no seed in common")
    return BySeed(over, signed=True)


def as_list(by_seed: BySeed) -> str:
    """``+1.6, 0.0``, in the order of the seeds."""
    return ", ".join(rounded(value, _form(by_seed)) for value in by_seed.values.values())


def as_mean(by_seed: BySeed) -> str:
    """``+1.9 ± 0.4``."""
    return cell(spread(by_seed.values.values()), _form(by_seed))


def _form(by_seed: BySeed) -> str:
    return "{:+.1f}" if by_seed.signed else "{:.1f}"


def _of_seeds(found: re.Match, aps: dict[int | None, float]) -> dict[int | None, float]:
    if found["seeds"] is None:
        return aps
    seeds = [int(seed) for seed in found["seeds"].split()]
    if without := [str(seed) for seed in seeds if seed not in aps]:
        raise ConfigError(f"row {found['row']!r} has no seed {', '.join(without)}")
    return {seed: aps[seed] for seed in seeds}


def _aps(rows: Sequence[TableRow], name: str, of: str | None) -> dict[int | None, float]:
    (row,) = chosen(rows, [name])
    aps = {}
    for seed, record in row.records.items():
        ap = record["scores"]["AP"] if of is None else record.get("class_AP", {}).get(of)
        if ap is None:
            raise ConfigError(f"row {name!r} has no AP" + (f" of {of!r}" if of else ""))
        aps[seed] = ap
    return aps
