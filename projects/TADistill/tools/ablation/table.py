"""From records to a table: means, spreads, and what a row has over the baseline."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from trainings import REPO
from trainings.fingerprint import different_keys

from tadistill.errors import ConfigError

from .grid import Grid, load_grid
from .record import SCORES, read_record
from .teachers import check_teachers, evaluated_teachers, teacher_ap

BASELINE = "baseline"
DEFAULTS = "balance"  # the row that changes nothing
PATIENT = "baseline_longer"  # for about the time that the defaults take


@dataclass(frozen=True)
class Spread:
    """Of some values.

    Attributes:
        mean: of them.
        sd: the sample standard deviation; None of a single value.
        n: how many.
    """

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True, eq=False)
class TableRow:
    """A row over its seeds.

    Attributes:
        name: of the row.
        title: what it is.
        records: one a seed, by seed; a teacher's has the seed None.
        scores: AP, AP50…; None where there is no such score (no large objects, say).
        gains: AP over the baseline's, by the seeds that both have; none of the teacher and of the
            baseline.
        beside_defaults: AP over that of the row with the defaults, likewise.
        gap_closed: (row - baseline) / (teacher - baseline), of the mean AP over the seeds that
            row and baseline both have, and of the row's own teacher; None where there is no gap.
    """

    name: str
    title: str
    records: dict[int | None, dict]
    scores: dict[str, Spread | None]
    gains: dict[int, float]
    beside_defaults: dict[int, float]
    gap_closed: float | None

    @property
    def is_teacher(self) -> bool:
        return any(record["evaluates_teacher"] for record in self.records.values())


def load_table(records: Path, budget: str | None = None) -> list[TableRow]:
    """The rows that are recorded, in the grid's order.

    Args:
        records: folder of a grid's records.
        budget: its name, if the grid has any.

    Raises:
        ConfigError: if there is no record, or seeds or rows were made of different things.
    """
    paths = [*sorted(records.glob("*.json")), *sorted((records / (budget or "")).glob("*.json"))]
    found = [read_record(path) for path in dict.fromkeys(paths)]
    found = [r for r in found if r["budget"] == budget or r["evaluates_teacher"]]
    if not any(record["budget"] == budget for record in found):
        raise ConfigError(f"there is no record in {records / (budget or '')}")
    grid = grid_of(found)
    order = [*(grid.rows if grid else ()), *sorted({record["row"] for record in found})]
    by_row: dict[str, dict[int | None, dict]] = {name: {} for name in order}
    for record in found:
        by_row[record["row"]][record["seed"]] = record
    by_row = {name: dict(sorted(seeds.items())) for name, seeds in by_row.items() if seeds}
    check_alike(by_row, grid.neutral if grid else ())
    check_teachers(by_row)
    titles = {name: row.title for name, row in grid.rows.items()} if grid else {}
    return summarised(by_row, titles)


def chosen(rows: Sequence[TableRow], names: Sequence[str]) -> list[TableRow]:
    """The rows of these names, in the order of the table; all of them if there is no name.

    Raises:
        ConfigError: if there is no row of a name.
    """
    check_names(names, rows)
    return [row for row in rows if not names or row.name in names]


def check_names(names: Sequence[str], rows: Sequence[TableRow]) -> None:
    """Each is that of a row.

    Raises:
        ConfigError: naming the first that is not.
    """
    for name in names:
        if name not in {row.name for row in rows}:
            raise ConfigError(f"there is no record of row {name!r}")


def summarised(
    by_row: Mapping[str, Mapping[int | None, dict]], titles: Mapping[str, str] | None = None
) -> list[TableRow]:
    """Records by row and seed as rows of a table.

    Args:
        by_row: the records; the baseline's row is called "baseline", the defaults' "balance".
        titles: by row; of other rows that of their records.
    """
    baseline, defaults = (aps_by_seed(by_row.get(name, {})) for name in (BASELINE, DEFAULTS))
    teachers = evaluated_teachers(by_row)
    rows = []
    for name, seeds in by_row.items():
        of_row = list(seeds.values())
        compared = name != BASELINE and not any(r["evaluates_teacher"] for r in of_row)
        aps, teacher = aps_by_seed(seeds), teacher_ap(seeds, teachers)
        rows.append(
            TableRow(
                name=name,
                title=(titles or {}).get(name, of_row[-1]["title"]),
                records=dict(seeds),
                scores={score: spread(r["scores"][score] for r in of_row) for score in SCORES},
                gains=differences(aps, baseline) if compared else {},
                beside_defaults=differences(aps, defaults) if compared and name != DEFAULTS else {},
                gap_closed=gap_closed(aps, baseline, teacher) if compared else None,
            )
        )
    return rows


def spread(values: Iterable[float | None]) -> Spread | None:
    """Of those that are not None; None if all are."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    return Spread(mean(values), stdev(values) if len(values) > 1 else None, len(values))


def differences(aps: Mapping[int, float], others: Mapping[int, float]) -> dict[int, float]:
    """What a row has over another, by seed: of the seeds that both have."""
    return {seed: aps[seed] - others[seed] for seed in sorted(aps.keys() & others.keys())}


def aps_by_seed(records: Mapping[int | None, dict]) -> dict[int, float]:
    """The AP of a row's records, of those that have any."""
    aps = {seed: record["scores"]["AP"] for seed, record in records.items()}
    return {seed: ap for seed, ap in aps.items() if ap is not None}


def gap_closed(
    aps: Mapping[int, float], baseline: Mapping[int, float], teacher: float | None
) -> float | None:
    """(row - baseline) / (teacher - baseline), of means over the seeds that both have."""
    seeds = aps.keys() & baseline.keys()
    if not seeds or teacher is None:
        return None
    low = mean(baseline[seed] for seed in seeds)
    return (mean(aps[seed] for seed in seeds) - low) / (teacher - low) if teacher > low else None


def check_alike(by_row: Mapping[str, Mapping[int | None, dict]], neutral: Sequence[str]) -> None:
    """The seeds of a row differ in their seed alone, and all rows have the same data.

    Raises:
        ConfigError: naming the row and what differs.
    """
    shared = {}
    for name, seeds in by_row.items():
        first, *others = [record["depends_on"] for record in seeds.values()]
        for other in others:
            older, newer = sorted([first, other], key=len)
            keys = [key for key in different_keys(older, newer, neutral) if key != "SEED"]
            if keys:
                raise ConfigError(f"the seeds of row {name!r} differ in {', '.join(keys)}")
        for key, value in first.items():
            if key.startswith("annotations of ") and shared.setdefault(key, value) != value:
                raise ConfigError(f"row {name!r} has other {key} than the rows before it")


def grid_of(records: Sequence[dict]) -> Grid | None:
    """The grid that the last of the records names; None if it is gone."""
    path = REPO / records[-1]["grid"]
    return load_grid(path) if path.is_file() else None
