"""What a few rows have over another, seed by seed, in several tables side by side."""

import re
from collections.abc import Callable, Sequence

from tadistill.errors import ConfigError

from .headings import short_heading
from .markdown import NOTHING, head
from .seeds import BySeed, as_list
from .table import TableRow, aps_by_seed, differences

FORM = "ROW … over ROW in NAME[/BUDGET] …"
_WORDS = re.compile(r"(?P<rows>.+) over (?P<other>\S+) in (?P<tables>.+)")


def seed_table(words: Sequence[str], tables: Callable[[str], Sequence[TableRow]]) -> str:
    """A line a row, a column a table, in a cell the AP over the other row's by seed.

    Args:
        words: of :data:`FORM`.
        tables: the rows of a table, by its name.

    Raises:
        ConfigError: if they are of another form, or no table has one of the rows.
    """
    form = _WORDS.fullmatch(" ".join(words))
    if not form:
        raise ConfigError(f"it must have {FORM}")
    names, columns = form["rows"].split(), form["tables"].split()
    of_columns = {column: tables(column) for column in columns}
    lines = head(
        f"over `{form['other']}`, by seed",
        [short_heading(rows, column) for column, rows in of_columns.items()],
    )
    for name in names:
        cells = [_cell(rows, name, form["other"]) for rows in of_columns.values()]
        if set(cells) == {NOTHING}:
            raise ConfigError(f"no table has row {name!r} with a seed of {form['other']!r}")
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(rows: Sequence[TableRow], name: str, other: str) -> str:
    aps = {row.name: aps_by_seed(row.records) for row in rows}
    over = differences(aps.get(name, {}), aps.get(other, {}))
    return as_list(BySeed(over, signed=True)) if over else NOTHING
