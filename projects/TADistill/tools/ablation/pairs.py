"""The pairs of detectors that ``tools/compare.py`` scored, seed by seed, alone or over another row.

Its files do not name seeds: the pairs are taken for those of the seeds 0, 1, ….
"""

import re
from collections.abc import Callable, Mapping, Sequence

from tadistill.errors import ConfigError

from .seeds import BySeed
from .table import TableRow, aps_by_seed, chosen, differences, gap_closed

FORM = "[over first | over second NAME | over TABLE[/BUDGET] ROW]"
_WORDS = re.compile(
    r"(?P<first>over first)|over second (?P<second>\S+)|over (?P<table>\S+) (?P<row>\S+)|"
)

Tables = Callable[[str], Sequence[TableRow]]
Bootstraps = Callable[[str], dict]


def paired_aps(name: str, words: Sequence[str], bootstraps: Bootstraps, tables: Tables) -> BySeed:
    """The AP of the second detector of each pair, or what it has over another.

    Args:
        name: of what ``compare.py`` wrote.
        words: of :data:`FORM`.
        bootstraps: what it wrote, by its name.
        tables: the rows of a table, by its name.

    Raises:
        ConfigError: if the words are of another form, or name what is not there.
    """
    form = _WORDS.fullmatch(" ".join(words))
    if not form:
        raise ConfigError(f"it must have {FORM}")
    found = bootstraps(name)
    aps = _side(found, 1)
    if form["first"]:
        others = _side(found, 0)
    elif form["second"]:
        others = _side(bootstraps(form["second"]), 1)
        _check_seeds(f"{form['second']!r}", others, aps)
    elif form["row"]:
        others = _row(tables, form["table"], form["row"], aps)
    else:
        return BySeed(aps, signed=False)
    return BySeed(differences(aps, others), signed=True)


def paired_teacher(found: dict) -> float:
    """The AP of the one detector that is the first of all pairs.

    Raises:
        ConfigError: if they are several.
    """
    first, *others = set(_side(found, 0).values())
    if others:
        raise ConfigError("the first of its pairs is not one teacher")
    return first


def paired_gap(found: dict, table: str, baseline: str, tables: Tables) -> float:
    """What the second detectors close of the gap from a baseline to the teacher, their first.

    Raises:
        ConfigError: if there is no such gap, or no such row.
    """
    aps = _side(found, 1)
    closed = gap_closed(aps, _row(tables, table, baseline, aps), paired_teacher(found))
    if closed is None:
        raise ConfigError(f"its teacher is not ahead of row {baseline!r}")
    return closed


def _side(found: dict, side: int) -> dict[int, float]:
    return {seed: pair[side] for seed, pair in enumerate(found["aps"])}


def _row(tables: Tables, table: str, name: str, seeds: Mapping[int, float]) -> dict[int, float]:
    (row,) = chosen(tables(table), [name])
    aps = aps_by_seed(row.records)
    _check_seeds(f"row {name!r}", aps, seeds)
    return aps


def _check_seeds(name: str, aps: Mapping[int, float], seeds: Mapping[int, float]) -> None:
    if not aps.keys() >= seeds.keys():
        raise ConfigError(f"{name} has not every seed of the {len(seeds)} pairs")
