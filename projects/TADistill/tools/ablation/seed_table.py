"""What a few rows have over another, seed by seed, in several tables side by side."""

import re
from collections.abc import Callable, Mapping, Sequence

from tadistill.errors import ConfigError

from .headings import short_heading
from .markdown import NOTHING, head, rounded
from .table import TableRow, aps_by_seed, check_names, differences

FORM = "ROW … over ROW in NAME[/BUDGET] …"
_WORDS = re.compile(r"(?P<rows>.+) over (?P<other>\S+) in (?P<tables>.+)")


def seed_table(words: Sequence[str], tables: Callable[[str], Sequence[TableRow]]) -> str:
    """A line a row, a column a table, in a cell the AP over the other row's by seed.

    A cell has a place for each seed that any of the rows has there.

    Args:
        words: of :data:`FORM`.
        tables: the rows of a table, by its name.

    Raises:
        ConfigError: if they are of another form, or no table has one of the rows with a seed of
            the other.
    """
    form = _WORDS.fullmatch(" ".join(words))
    if not form:
        raise ConfigError(f"it must have {FORM}")
    names, columns = form["rows"].split(), form["tables"].split()
    in_columns = {column: tables(column) for column in columns}
    check_names([*names, form["other"]], [row for rows in in_columns.values() for row in rows])
    shown = {
        column: [row for row in rows if row.name in {*names, form["other"]}]
        for column, rows in in_columns.items()
    }
    titles = [short_heading(rows, column) for column, rows in shown.items()]
    lines = head(f"over `{form['other']}`, by seed", titles)
    overs = [_over(form["other"], rows) for rows in shown.values()]
    for name in names:
        if not any(over.get(name) for over in overs):
            raise ConfigError(f"no table has row {name!r} with a seed of {form['other']!r}")
        lines.append(f"| `{name}` | " + " | ".join(_cell(name, over) for over in overs) + " |")
    return "\n".join(lines)


def _over(other: str, rows: Sequence[TableRow]) -> dict[str, dict[int, float]]:
    """By row and seed, the AP over the other row's."""
    aps = {row.name: aps_by_seed(row.records) for row in rows}
    others = aps.pop(other, {})
    return {name: differences(of_row, others) for name, of_row in aps.items()}


def _cell(name: str, overs: Mapping[str, Mapping[int, float]]) -> str:
    over = overs.get(name)
    if not over:
        return NOTHING
    seeds = sorted({seed for of_row in overs.values() for seed in of_row})
    return ", ".join(rounded(over[s], "{:+.1f}") if s in over else NOTHING for s in seeds)
