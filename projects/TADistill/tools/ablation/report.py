"""A text with its markers filled in (:mod:`ablation.markers` says which there are), and a page of
all that a grid has.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from tadistill.errors import ConfigError

from .markers import MARKERS, NotOfItsForm, Place, fill_plot, fill_table
from .plots import KINDS
from .table import load_table

MARKER = re.compile(r"<!-- (?P<kind>\w+): (?P<words>[^>]*?) -->")


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
    place = Place(records, page, draw)
    return MARKER.sub(lambda found: _filled_in(found, place), text)


def _filled_in(found: re.Match, place: Place) -> str:
    kind, words = found["kind"], found["words"].split()
    if kind not in MARKERS:
        raise ConfigError(f"{found[0]}: there is no such marker; there are {', '.join(MARKERS)}")
    form, fill = MARKERS[kind]
    try:
        if not words:
            raise NotOfItsForm
        return fill(words, place)
    except NotOfItsForm as error:
        raise ConfigError(f"{found[0]}: it must be {kind}: {form}") from error
    except ConfigError as error:
        raise ConfigError(f"{found[0]}: {error}") from error


def write_report(records: Path, budgets: Sequence[str | None], title: str) -> Path:
    """``report.md`` in a grid's folder of records: all tables and plots of what there is.

    Raises:
        ConfigError: if there is nothing.
    """
    found = [budget for budget in budgets if any((records / (budget or "")).glob("*.json"))]
    if not found:
        raise ConfigError(f"--report: there is no record in {records} yet")
    page = records / "report.md"
    place = Place(records.parent, page, draw=True)
    parts = [f"# {title}"]
    for budget in found:
        table = f"{records.name}/{budget}" if budget else records.name
        parts += [f"## {budget}"] * bool(budget)
        parts += [fill_table([table], place)]
        rows = load_table(records, budget)
        drawable = [name for name, kind in KINDS.items() if kind.has_any(rows)]
        parts += [fill_plot([table, kind], place) for kind in drawable]
    page.write_text("\n\n".join(parts) + "\n")
    return page
