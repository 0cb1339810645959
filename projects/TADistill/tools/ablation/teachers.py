"""Whose student: most tables have one teacher; one with several has each in a row of its own."""

from collections.abc import Mapping

from tadistill.errors import ConfigError

WEIGHTS = "MODEL.TADISTILL.TEACHER.WEIGHTS"
RowRecords = Mapping[int | None, dict]  # of a row, by seed


def evaluated_teachers(by_row: Mapping[str, RowRecords]) -> dict[str | None, float | None]:
    """The AP of each teacher that was evaluated, by its weights, in the order of the rows."""
    return {
        _weights_of(records): record["scores"]["AP"]
        for records in by_row.values()
        for record in records.values()
        if record["evaluates_teacher"]
    }


def teacher_ap(records: RowRecords, teachers: Mapping[str | None, float | None]) -> float | None:
    """The AP of a row's own teacher; of a row without one, that of the table's first.

    Args:
        records: of the row.
        teachers: see :func:`evaluated_teachers`.
    """
    first = next(iter(teachers.values()), None)
    return teachers.get(_weights_of(records), first)


def check_teachers(by_row: Mapping[str, RowRecords]) -> None:
    """Each row's teacher is one that is evaluated in the table; where none is, all have the same.

    Raises:
        ConfigError: naming the row.
    """
    known = {weights for weights in evaluated_teachers(by_row) if weights}
    for name, records in by_row.items():
        weights = _weights_of(records)
        if weights and known and weights not in known:
            raise ConfigError(
                f"row {name!r} has other {WEIGHTS} than the rows before it, and no row with "
                "evaluate_teacher has these"
            )
        known |= {weights} - {None}


def _weights_of(records: RowRecords) -> str | None:
    """Their sha256; None of a student without a teacher."""
    return next(iter(records.values()))["depends_on"].get(WEIGHTS)
