"""Tables as Markdown: one grid's, several side by side, and several in a line each."""

from collections.abc import Callable, Mapping, Sequence

from .comparison import Comparison
from .overview import Setting, iterations_of
from .record import SCORES
from .table import DEFAULTS, Spread, TableRow, spread

NOTHING = "-"


def rounded(value: float, form: str) -> str:
    """``value`` in ``form``; what is zero then has no sign."""
    text = form.format(value)
    return text if text.strip("+-0.") else text.lstrip("+-")


def cell(value: Spread | None, form: str = "{:.1f}", with_sd: bool = True) -> str:
    """``70.9 ± 0.4``; of one value without a spread."""
    if value is None:
        return NOTHING
    text = rounded(value.mean, form)
    if with_sd and value.sd is not None:
        text += " ± " + form.replace("+", "").format(value.sd)
    return text


def _paired(differences: Mapping[int, float], of: Spread | None) -> str:
    """Differences by seed; with their number where there are fewer than values ``of``."""
    over_seeds = spread(differences.values())
    fewer = over_seeds is not None and of is not None and over_seeds.n < of.n
    return cell(over_seeds, "{:+.1f}") + (f" (n = {over_seeds.n})" if fewer else "")


# By the name that a text can ask for: heading, and a row's cell.
COLUMNS: dict[str, tuple[str, Callable[[TableRow], str]]] = {
    "n": ("n", lambda row: NOTHING if row.is_teacher else str(len(row.records))),
    "AP": ("AP", lambda row: cell(row.scores["AP"])),
    "gain": ("over the baseline", lambda row: _paired(row.gains, row.scores["AP"])),
    "beside": ("over the defaults", lambda row: _paired(row.beside_defaults, row.scores["AP"])),
    "gap": (
        "gap closed",
        lambda row: NOTHING if row.gap_closed is None else rounded(row.gap_closed, "{:.2f}"),
    ),
    **{
        score: (score, lambda row, score=score: cell(row.scores[score], with_sd=False))
        for score in SCORES[1:]
    },
}

OVERVIEW_COLUMNS = (
    "iterations",
    "teacher",
    "baseline",
    "distilled",
    "over the baseline",
    "gap closed",
    "baseline, about as much time",
    "distilled over that",
)


def head(first: str, others: Sequence[str]) -> list[str]:
    """The first two lines of a table, whose first column has words and all others figures."""
    cells = " | ".join(heading.replace("\n", "<br>") for heading in others)
    words = f"| {first} |" if first else "| |"
    return [f"{words} {cells} |", "| --- |" + " ---: |" * len(others)]


def markdown_table(rows: Sequence[TableRow]) -> str:
    """All columns that have anything in them, and below what they mean and where they are from."""
    columns = [
        (heading, text)
        for heading, text in COLUMNS.values()
        if any(text(row) != NOTHING for row in rows)
    ]
    lines = head("", [heading for heading, _ in columns])
    for row in rows:
        cells = " | ".join(text(row) for _, text in columns)
        lines.append(f"| {_name_and_title(row)} | {cells} |")
    return "\n".join([*lines, "", legend(rows)])


def comparison_table(comparison: Comparison) -> str:
    """A column a table; in the first line what the defaults have over the baseline."""
    lines = head("", comparison.titles)
    defaults = {table: comparison.rows[DEFAULTS, table] for table in comparison.tables}
    cells = [_paired(row.gains, row.scores["AP"]) for row in defaults.values()]
    lines.append("| **the defaults, over the baseline** | " + " | ".join(cells) + " |")
    for name in comparison.names:
        rows = {table: comparison.rows.get((name, table)) for table in comparison.tables}
        cells = [
            _paired(row.beside_defaults, defaults[table].scores["AP"]) if row else NOTHING
            for table, row in rows.items()
        ]
        title = next(_name_and_title(row) for row in rows.values() if row)
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def overview_table(settings: Sequence[Setting]) -> str:
    """A line a setting."""
    lines = head("", OVERVIEW_COLUMNS)
    for setting in settings:
        distilled, patient = setting.distilled, setting.patient
        in_the_time = NOTHING
        if patient:
            in_the_time = f"{_ap(patient)} ({iterations_of(patient):,} iterations)"
        cells = [
            setting.title,
            f"{setting.iterations:,}",
            _ap(setting.teacher) if setting.teacher else NOTHING,
            _ap(setting.baseline),
            _ap(distilled),
            COLUMNS["gain"][1](distilled),
            COLUMNS["gap"][1](distilled),
            in_the_time,
            _paired(setting.over_patient, distilled.scores["AP"]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def legend(rows: Sequence[TableRow]) -> str:
    """What the columns mean, and the machines."""
    records = [record for row in rows for record in row.records.values()]
    machines = {
        f"{m['gpu'] or m['processor']} ({m['cores']} cores; {m['runs_at_once']} at once, "
        f"{_counted(m['threads'], 'thread')} each)": None
        for m in (record["machine"] for record in records if not record["evaluates_teacher"])
    }
    iterations = sorted({record["iterations"] for record in records if "iterations" in record})
    several = sum(row.is_teacher for row in rows) > 1
    whose = ", with each row's own teacher" if several else ""
    return (
        f"{' or '.join(f'{i:,}' for i in iterations)} iterations. AP: mean ± sample standard "
        "deviation over n seeds. Over the baseline, over the defaults (`balance`): paired by "
        f"seed. Gap closed: (row - baseline) / (teacher - baseline){whose}. "
        f"On {'; '.join(machines)}."
    )


def _ap(row: TableRow) -> str:
    """With the number of seeds where there are not at least three."""
    few = not row.is_teacher and len(row.records) < 3
    return cell(row.scores["AP"]) + (f" (n = {len(row.records)})" if few else "")


def _name_and_title(row: TableRow) -> str:
    return f"`{row.name}` {row.title}".strip()


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + "s" * (number != 1)
