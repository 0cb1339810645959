"""What a table is called above a picture: words, not its folder's name."""

import re
from collections.abc import Sequence

from .table import TableRow, grid_of


def heading_of(rows: Sequence[TableRow], name: str) -> str:
    """The grid's title, and below it the iterations and the processor.

    Args:
        rows: of the table.
        name: of the table, for one whose grid is gone.
    """
    return "\n".join(filter(None, [title_of(rows, name), ", ".join(_training_of(rows))]))


def short_heading(rows: Sequence[TableRow], name: str) -> str:
    """Likewise, for narrow axes: the title's first words alone."""
    return "\n".join([title_of(rows, name).split(",")[0], *_training_of(rows)])


def in_one_line(heading: str) -> str:
    """For where lines cannot be broken."""
    return heading.replace("\n", ", ")


def title_of(rows: Sequence[TableRow], name: str) -> str:
    """Of the grid; ``name`` if it is gone."""
    grid = grid_of([record for row in rows for record in row.records.values()])
    return grid.title if grid else name


def _training_of(rows: Sequence[TableRow]) -> list[str]:
    """The fewest iterations of a row, and the processor if all have one."""
    trained = [r for row in rows if not row.is_teacher for r in row.records.values()]
    if not trained:
        return []
    machines = {_plain(r["machine"]["gpu"] or r["machine"]["processor"]) for r in trained}
    iterations = f"{min(record['iterations'] for record in trained):,} iterations"
    return [iterations, *machines] if len(machines) == 1 else [iterations]


def _plain(processor: str) -> str:
    """``Intel(R) Xeon(R) Processor @ 2.00GHz`` is ``Intel Xeon``."""
    return re.sub(r"\(R\)|\(TM\)| Processor| @ .*", "", processor)
