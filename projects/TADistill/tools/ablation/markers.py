"""What the markers of a text stand for: tables, plots and figures of what is recorded.

<!-- table: digits/long -->               the table of recorded/ablations/digits/long
<!-- table: digits/long teacher all -->   some rows of it
<!-- beside: digits/long demo -->         what their rows have over the defaults, side by side
<!-- beside_plot: digits/long demo -->    the same as a picture, a dot a seed
<!-- overview: digits/short demo -->      their defaults beside baseline and teacher, a line each
<!-- overview: a/short+a/long demo -->    likewise; for the first the baseline of a/long is the one
                                          that takes about as long as its distilled student
<!-- overview_plot: digits/short demo --> the same as a picture, a dot a seed
<!-- seed_table: sigma_1 sigma_2 over balance in digits/long demo -->
                                          the AP of each seed over another row's, side by side
<!-- bootstraps: val test -->             what compare.py wrote to recorded/bootstraps
<!-- pairs: test -->                      of that, the AP of each pair's second detector
<!-- pairs: test over first -->           what it has over the pair's first
<!-- pairs: test over second other -->    likewise over the second of another's pairs
<!-- pairs: test over toy baseline -->    likewise over a row, seed by seed
<!-- pairs_mean: test over first -->      mean and spread of each of these
<!-- pairs_teacher: test -->              the AP of the one that is the first of all pairs
<!-- pairs_gap: test toy baseline -->     what they close of the gap to it
<!-- plot: digits/long ap -->             ap, final, gain, gates or scales; rows can be named too
<!-- command: digits/long -->             what runs a row of it again
<!-- ends: digits/long all gate_box -->   a scalar's first and last value, means over the seeds
<!-- value: digits/long all AP -->        one cell, by its column's name in markdown.py
<!-- seeds: digits/long all -->           the AP of each seed of a row
<!-- seeds: digits/long all over teacher of seven -->  what a row has over another, seed by seed;
                                          the AP of one class, if any is named
<!-- mean: digits/long all over teacher of seven -->  mean and spread of the same
<!-- mean: digits/long all over teacher seeds 0 1 2 -->  likewise of these seeds alone
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from tadistill.errors import ConfigError

from .again import command_again
from .bootstraps import bootstrap_table, read_bootstrap
from .comparison import Comparison, compare
from .curves import curves_of
from .dots import draw_comparison, draw_overview
from .headings import heading_of, in_one_line
from .markdown import COLUMNS, comparison_table, markdown_table, overview_table, rounded
from .overview import Setting, load_setting
from .pairs import FORM as PAIRS_FORM
from .pairs import paired_aps, paired_gap, paired_teacher
from .plots import KINDS
from .seed_table import FORM as SEED_TABLE_FORM
from .seed_table import seed_table
from .seeds import FORM, as_list, as_mean, seeds_of
from .table import TableRow, check_names, chosen, load_table

Words = Sequence[str]  # of a marker, behind its kind; one at least


class NotOfItsForm(ConfigError):
    """A marker's words are not what its kind wants."""


class Place(NamedTuple):
    """Where a text's markers find what they stand for.

    Attributes:
        records: the folder of all grids' records.
        page: where the text will be, from which its pictures are seen.
        draw: the pictures too, into ``records``/NAME/plots.
    """

    records: Path
    page: Path
    draw: bool

    @property
    def bootstraps(self) -> Path:
        """The folder of what ``compare.py`` wrote."""
        return self.records.parent / "bootstraps"

    def bootstrap(self, name: str) -> dict:
        """One of these."""
        return read_bootstrap(self.bootstraps, name)

    def rows(self, table: str) -> list[TableRow]:
        """Those of NAME or NAME/BUDGET."""
        name, _, budget = table.partition("/")
        return load_table(self.records / name, budget or None)

    def shown(self, path: Path, words: str) -> str:
        """A picture in Markdown, with words for those who do not see it."""
        return f"![{words}]({Path(os.path.relpath(path, self.page.parent)).as_posix()})"


def fill_table(words: Words, place: Place) -> str:
    return markdown_table(chosen(place.rows(words[0]), words[1:]))


def fill_command(words: Words, place: Place) -> str:
    return command_again(place.rows(words[0]))


def fill_value(words: Words, place: Place) -> str:
    if len(words) != 3 or words[2] not in COLUMNS:
        raise NotOfItsForm
    (row,) = chosen(place.rows(words[0]), [words[1]])
    return COLUMNS[words[2]][1](row)


def fill_ends(words: Words, place: Place) -> str:
    if len(words) != 3:
        raise NotOfItsForm
    table, name, scalar = words
    (row,) = chosen(place.rows(table), [name])
    curves = [list(curve.values()) for curve in curves_of(row, scalar)]
    if not curves:
        raise ConfigError(f"no record has any {scalar}")
    return " to ".join(f"{mean(curve[end] for curve in curves):.1f}" for end in (0, -1))


def fill_seeds(words: Words, place: Place) -> str:
    return as_list(seeds_of(place.rows(words[0]), words[1:]))


def fill_mean(words: Words, place: Place) -> str:
    return as_mean(seeds_of(place.rows(words[0]), words[1:]))


def fill_seed_table(words: Words, place: Place) -> str:
    return seed_table(words, place.rows)


def fill_bootstraps(words: Words, place: Place) -> str:
    return bootstrap_table(place.bootstraps, words)


def fill_pairs(words: Words, place: Place) -> str:
    return as_list(paired_aps(words[0], words[1:], place.bootstrap, place.rows))


def fill_pairs_mean(words: Words, place: Place) -> str:
    return as_mean(paired_aps(words[0], words[1:], place.bootstrap, place.rows))


def fill_pairs_teacher(words: Words, place: Place) -> str:
    if len(words) != 1:
        raise NotOfItsForm
    return f"{paired_teacher(place.bootstrap(words[0])):.1f}"


def fill_pairs_gap(words: Words, place: Place) -> str:
    if len(words) != 3:
        raise NotOfItsForm
    name, table, baseline = words
    return rounded(paired_gap(place.bootstrap(name), table, baseline, place.rows), "{:.2f}")


def fill_plot(words: Words, place: Place) -> str:
    if len(words) < 2 or words[1] not in KINDS:
        raise NotOfItsForm
    table, kind, *names = words
    name, _, budget = table.partition("/")
    rows = chosen(place.rows(table), names)
    if not KINDS[kind].has_any(rows):
        raise ConfigError(f"no record has any {kind}")
    heading = heading_of(rows, table)
    file_name = "_".join(filter(None, [budget, kind, *names])) + ".png"
    path = place.records / name / "plots" / file_name
    if place.draw:
        KINDS[kind].draw(path, rows, heading)
    return place.shown(path, f"{kind}: {in_one_line(heading)}")


def fill_beside(words: Words, place: Place) -> str:
    return comparison_table(_comparison(words, place))


def fill_beside_plot(words: Words, place: Place) -> str:
    comparison = _comparison(words, place)
    if not comparison.names:
        raise ConfigError("no table has a row with a seed of the defaults")
    name = "_".join(table.replace("/", "-") for table in comparison.tables)
    path = place.records / "plots" / f"beside_{name}.png"
    if place.draw:
        draw_comparison(path, comparison)
    titles = "; ".join(map(in_one_line, comparison.titles))
    return place.shown(path, f"over the defaults: {titles}")


def fill_overview(words: Words, place: Place) -> str:
    return overview_table([_setting(word, place) for word in words])


def fill_overview_plot(words: Words, place: Place) -> str:
    path = place.records / "plots" / "overview.png"
    settings = [_setting(word, place) for word in words]
    if place.draw:
        draw_overview(path, settings)
    return place.shown(path, "AP of baseline, distilled student and teacher, by setting")


def _comparison(words: Words, place: Place) -> Comparison:
    end = words.index("without") if "without" in words else len(words)
    tables, without = {table: place.rows(table) for table in words[:end]}, words[end + 1 :]
    if not tables:
        raise NotOfItsForm
    check_names(without, [row for rows in tables.values() for row in rows])
    return compare(tables, without)


def _setting(word: str, place: Place) -> Setting:
    table, _, longer = word.partition("+")
    return load_setting(table, place.rows(table), place.rows(longer) if longer else None)


class Marker(NamedTuple):
    """A kind of marker.

    Attributes:
        form: of its words.
        fill: what is to stand in its place.
    """

    form: str
    fill: Callable[[Words, Place], str]


MARKERS = {
    "table": Marker("NAME[/BUDGET] [ROW …]", fill_table),
    "beside": Marker("NAME[/BUDGET] … [without ROW …]", fill_beside),
    "beside_plot": Marker("NAME[/BUDGET] … [without ROW …]", fill_beside_plot),
    "overview": Marker("NAME[/BUDGET][+NAME/BUDGET] …", fill_overview),
    "overview_plot": Marker("NAME[/BUDGET][+NAME/BUDGET] …", fill_overview_plot),
    "seed_table": Marker(SEED_TABLE_FORM, fill_seed_table),
    "bootstraps": Marker("NAME …", fill_bootstraps),
    "pairs": Marker(f"NAME {PAIRS_FORM}", fill_pairs),
    "pairs_mean": Marker(f"NAME {PAIRS_FORM}", fill_pairs_mean),
    "pairs_teacher": Marker("NAME", fill_pairs_teacher),
    "pairs_gap": Marker("NAME TABLE[/BUDGET] ROW", fill_pairs_gap),
    "plot": Marker(f"NAME[/BUDGET] {'|'.join(KINDS)} [ROW …]", fill_plot),
    "command": Marker("NAME[/BUDGET]", fill_command),
    "value": Marker(f"NAME[/BUDGET] ROW {'|'.join(COLUMNS)}", fill_value),
    "ends": Marker("NAME[/BUDGET] ROW SCALAR", fill_ends),
    "seeds": Marker(f"NAME[/BUDGET] {FORM}", fill_seeds),
    "mean": Marker(f"NAME[/BUDGET] {FORM}", fill_mean),
}
