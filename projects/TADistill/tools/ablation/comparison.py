"""Several tables side by side: what their rows have over the defaults."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tadistill.errors import ConfigError

from .headings import short_heading
from .table import DEFAULTS, TableRow


@dataclass(frozen=True)
class Comparison:
    """Rows that change one thing of the defaults each.

    Attributes:
        tables: their names.
        names: of the rows, in the order in which they are to be shown; without the defaults.
        rows: by name and table; all tables have the defaults, and not all have all others.
    """

    tables: tuple[str, ...]
    names: tuple[str, ...]
    rows: dict[tuple[str, str], TableRow]

    @property
    def titles(self) -> list[str]:
        """What each table is called, by the rows that are compared and the defaults."""
        return [
            short_heading([row for (_, of), row in self.rows.items() if of == table], table)
            for table in self.tables
        ]


def compare(tables: Mapping[str, Sequence[TableRow]], without: Collection[str] = ()) -> Comparison:
    """The rows that have any seed in common with the defaults of their table.

    Args:
        tables: by their names. A row that the tables before do not have comes behind the one that
            it follows in its own.
        without: names of rows that are not to be compared.

    Raises:
        ConfigError: if a table has no defaults.
    """
    order, found = [DEFAULTS], {}
    for table, rows in tables.items():
        if DEFAULTS not in {row.name for row in rows}:
            raise ConfigError(f"{table}: there is no record of row {DEFAULTS!r}")
        place = 0
        for row in rows:
            if row.name == DEFAULTS:
                found[row.name, table] = row
            elif row.beside_defaults and row.name not in without:
                found[row.name, table] = row
                if row.name not in order:
                    order.insert(place + 1, row.name)
                place = order.index(row.name)
    return Comparison(tuple(tables), tuple(order[1:]), found)
