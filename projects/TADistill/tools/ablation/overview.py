"""Several tables in a line each: a teacher, its student without and with it, and the student
without it for about the time that distilling takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tadistill.errors import ConfigError

from .headings import title_of
from .table import BASELINE, DEFAULTS, PATIENT, TableRow, aps_by_seed, differences


@dataclass(frozen=True)
class Setting:
    """A student, its data and the length of its training.

    Attributes:
        title: of the grid; of records whose grid is gone, the table's name.
        teacher: None if it was not evaluated.
        baseline: the student without a teacher.
        distilled: the student with the defaults.
        patient: the student without a teacher for more iterations, which take about as long as
            distilling; None if there is none.
    """

    title: str
    teacher: TableRow | None
    baseline: TableRow
    distilled: TableRow
    patient: TableRow | None

    @property
    def iterations(self) -> int:
        return iterations_of(self.baseline)

    @property
    def over_patient(self) -> dict[int, float]:
        """AP of the distilled student over the patient baseline's, by the seeds that both have."""
        aps = aps_by_seed(self.distilled.records)
        return differences(aps, aps_by_seed(self.patient.records)) if self.patient else {}


def load_setting(
    name: str, rows: Sequence[TableRow], longer: Sequence[TableRow] | None = None
) -> Setting:
    """A table in a line.

    Args:
        name: of the table.
        rows: of the table.
        longer: those of a table of more iterations, whose baseline is this one's patient baseline.

    Raises:
        ConfigError: if baseline or defaults have no record.
    """
    by_name = {row.name: row for row in rows}
    for needed in (BASELINE, DEFAULTS):
        if needed not in by_name:
            raise ConfigError(f"{name}: there is no record of row {needed!r}")
    patient = by_name.get(PATIENT)
    if longer is not None:
        patient = next((row for row in longer if row.name == BASELINE), None)
    baseline = by_name[BASELINE]
    return Setting(
        title=title_of([baseline], name),
        teacher=next((row for row in rows if row.is_teacher), None),
        baseline=baseline,
        distilled=by_name[DEFAULTS],
        patient=patient,
    )


def iterations_of(row: TableRow) -> int:
    """That each of its seeds was trained for."""
    return next(iter(row.records.values()))["iterations"]
