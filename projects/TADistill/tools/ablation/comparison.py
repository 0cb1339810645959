"""Several tables side by side: what their rows have over the defaults."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from .table import DEFAULTS, TableRow


@dataclass(frozen=True)
class Comparison:
    """Rows that change one thing of the defaults each.

    Attributes:
        headings: of the tables.
        names: of the rows, in the order in which they are to be shown; without the defaults.
        rows: by name and heading, those of the defaults too. Not all tables have all rows.
    """

    headings: tuple[str, ...]
    names: tuple[str, ...]
    rows: dict[tuple[str, str], TableRow]

    def of_table(self, heading: str) -> list[TableRow]:
        """The rows of a table, those that are compared and the defaults."""
        return [row for (_, table), row in self.rows.items() if table == heading]


def compare(tables: Mapping[str, Sequence[TableRow]], without: Collection[str] = ()) -> Comparison:
    """The rows that have any seed in common with the defaults of their table.

    Args:
        tables: by their heading. A row that the tables before do not have comes behind the one that
            it follows in its own.
        without: names of rows that are not to be compared.
    """
    order, found = [DEFAULTS], {}
    for heading, rows in tables.items():
        place = 0
        for row in rows:
            if row.name == DEFAULTS:
                found[row.name, heading] = row
            elif row.beside_defaults and row.name not in without:
                found[row.name, heading] = row
                if row.name not in order:
                    order.insert(place + 1, row.name)
                place = order.index(row.name)
    return Comparison(tuple(tables), tuple(order[1:]), found)
