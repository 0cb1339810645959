"""A text with tables, plots and figures put in where its markers are.

<!-- table: digits/long -->               the table of recorded/ablations/digits/long
<!-- table: digits/long teacher all -->   some rows of it
<!-- beside: digits/long demo -->         what their rows have over the defaults, side by side
<!-- beside_plot: digits/long demo -->    the same as a picture, a dot a seed
<!-- overview: digits/short demo -->      their defaults beside baseline and teacher, a line each
<!-- overview: a/short+a/long demo -->    likewise; for the first the baseline of a/long is the one
                                          that takes about as long as its distilled student
<!-- overview_plot: digits/short demo --> the same as a picture, a dot a seed
<!-- bootstraps: val test -->             what compare.py wrote to recorded/bootstraps
<!-- plot: digits/long ap -->             ap, final, gain, gates or scales; rows can be named too
<!-- command: digits/long -->             what runs a row of it again
<!-- value: digits/long all AP -->        one cell, by its column's name in markdown.py
<!-- seeds: digits/long all -->           the AP of each seed of a row
<!-- seeds: digits/long all over teacher of seven -->  what a row has over another, seed by seed;
                                          the AP of one class, if any is named
<!-- mean: digits/long all over teacher of seven -->  mean and spread of the same
"""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tadistill.errors import ConfigError

from .bootstraps import bootstrap_table
from .comparison import Comparison, compare
from .dots import draw_comparison, draw_overview
from .markdown import COLUMNS, commands, comparison_table, markdown_table, overview_table
from .overview import Setting, load_setting
from .plots import KINDS
from .seeds import FORM as SEEDS_FORM
from .seeds import as_list, as_mean, seeds_of
from .table import TableRow, check_names, chosen, load_table

MARKER = re.compile(r"<!-- (?P<kind>\w+): (?P<words>[^>]*?) -->")
FORMS = {
    "table": "table: NAME[/BUDGET] [ROW …]",
    "beside": "beside: NAME[/BUDGET] … [without ROW …]",
    "beside_plot": "beside_plot: NAME[/BUDGET] … [without ROW …]",
    "overview": "overview: NAME[/BUDGET][+NAME/BUDGET] …",
    "overview_plot": "overview_plot: NAME[/BUDGET][+NAME/BUDGET] …",
    "bootstraps": "bootstraps: NAME …",
    "plot": f"plot: NAME[/BUDGET] {'|'.join(KINDS)} [ROW …]",
    "command": "command: NAME[/BUDGET]",
    "value": f"value: NAME[/BUDGET] ROW {'|'.join(COLUMNS)}",
    "seeds": f"seeds: NAME[/BUDGET] {SEEDS_FORM}",
    "mean": f"mean: NAME[/BUDGET] {SEEDS_FORM}",
}


def filled_in(text: str, records: Path, page: Path, draw: bool = True) -> str:
    """A text with its markers replaced.

    Args:
        text: with markers.
        records: the folder of all grids' records.
        page: where the text will be, from which its pictures are seen.
        draw: the pictures too, into ``records``/NAME/plots.

    Raises:
        ConfigError: naming the marker, if it cannot be filled in.
    """
    return MARKER.sub(partial(_fill_in, records=records, page=page, draw=draw), text)


def _fill_in(found: re.Match, records: Path, page: Path, draw: bool) -> str:
    kind, words = found["kind"], found["words"].split()
    try:
        if kind not in FORMS:
            raise ConfigError(f"there is no such marker; there are {', '.join(FORMS)}")
        if not words:
            raise _not_of_its_form(kind)
        if kind == "beside":
            return comparison_table(_comparison(kind, words, records))
        if kind == "beside_plot":
            return _comparison_plot(_comparison(kind, words, records), records, page, draw)
        if kind == "overview":
            return overview_table([_setting(word, records) for word in words])
        if kind == "overview_plot":
            return _overview_plot([_setting(word, records) for word in words], records, page, draw)
        if kind == "bootstraps":
            return bootstrap_table(records.parent / "bootstraps", words)
        rows = _load(records, words[0])
        if kind == "table":
            return markdown_table(chosen(rows, words[1:]))
        if kind == "command":
            return commands(rows)
        if kind == "value":
            return _value(rows, words)
        if kind in ("seeds", "mean"):
            form = as_list if kind == "seeds" else as_mean
            return form(seeds_of(rows, words[1:]))
        return _plot(rows, words, records, page, draw)
    except ConfigError as error:
        raise ConfigError(f"{found[0]}: {error}") from error


def _load(records: Path, table: str) -> list[TableRow]:
    name, _, budget = table.partition("/")
    return load_table(records / name, budget or None)


def _comparison(kind: str, words: Sequence[str], records: Path) -> Comparison:
    end = words.index("without") if "without" in words else len(words)
    tables, without = {name: _load(records, name) for name in words[:end]}, words[end + 1 :]
    if not tables:
        raise _not_of_its_form(kind)
    check_names(without, [row for rows in tables.values() for row in rows])
    return compare(tables, without)


def _comparison_plot(comparison: Comparison, records: Path, page: Path, draw: bool) -> str:
    if not comparison.names:
        raise ConfigError("no table has a row with a seed of the defaults")
    name = "_".join(heading.replace("/", "-") for heading in comparison.headings)
    path = records / "plots" / f"beside_{name}.png"
    if draw:
        draw_comparison(path, comparison)
    return _shown(f"over the defaults: {', '.join(comparison.headings)}", path, page)


def _setting(word: str, records: Path) -> Setting:
    table, _, longer = word.partition("+")
    return load_setting(table, _load(records, table), _load(records, longer) if longer else None)


def _overview_plot(settings: Sequence[Setting], records: Path, page: Path, draw: bool) -> str:
    path = records / "plots" / "overview.png"
    if draw:
        draw_overview(path, settings)
    return _shown("AP of baseline, distilled student and teacher, by setting", path, page)


def _value(rows: Sequence[TableRow], words: Sequence[str]) -> str:
    if len(words) != 3 or words[2] not in COLUMNS:
        raise _not_of_its_form("value")
    (row,) = chosen(rows, [words[1]])
    return COLUMNS[words[2]][1](row)


def _plot(
    rows: Sequence[TableRow], words: Sequence[str], records: Path, page: Path, draw: bool
) -> str:
    if len(words) < 2 or words[1] not in KINDS:
        raise _not_of_its_form("plot")
    table, kind, *names = words
    name, _, budget = table.partition("/")
    path = records / name / "plots" / ("_".join(filter(None, [budget, kind, *names])) + ".png")
    rows = chosen(rows, names)
    if not KINDS[kind].has_any(rows):
        raise ConfigError(f"no record has any {kind}")
    if draw:
        KINDS[kind].draw(path, rows, f"{name}, {budget}" if budget else name)
    return _shown(f"{kind}: {table}", path, page)


def _shown(words: str, path: Path, page: Path) -> str:
    return f"![{words}]({path.relative_to(page.parent).as_posix()})"


def _not_of_its_form(kind: str) -> ConfigError:
    return ConfigError(f"it must be {FORMS[kind]}")


def write_report(records: Path, budgets: Sequence[str | None], title: str) -> Path:
    """``report.md`` in a grid's folder of records: all tables and plots of what there is.

    Raises:
        ConfigError: if there is nothing.
    """
    found = [budget for budget in budgets if any((records / (budget or "")).glob("*.json"))]
    if not found:
        raise ConfigError(f"--report: there is no record in {records} yet")
    page = records / "report.md"
    parts = [f"# {title}"]
    for budget in found:
        table = f"{records.name}/{budget}" if budget else records.name
        parts += [f"## {budget}"] * bool(budget)
        parts += [f"<!-- table: {table} -->"]
        rows = load_table(records, budget)
        drawable = [name for name, kind in KINDS.items() if kind.has_any(rows)]
        parts += [f"<!-- plot: {table} {kind} -->" for kind in drawable]
    page.write_text(filled_in("\n\n".join(parts) + "\n", records.parent, page))
    return page
