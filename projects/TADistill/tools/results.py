#!/usr/bin/env python
"""Writes projects/TADistill/RESULTS.md and the pages in results/ anew: the texts of
recorded/ablations/templates, with tables, plots and figures from the raw JSON of the runs.

    python projects/TADistill/tools/results.py
"""

import sys
from pathlib import Path

from ablation.report import filled_in

from tadistill.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[1]
RECORDS = PROJECT / "recorded/ablations"
TEMPLATES = RECORDS / "templates"  # in the places that their pages have in the project
SUFFIX = ".template.md"
HEADER = "<!-- Written by projects/TADistill/tools/results.py from {} and the records. -->\n\n"


def results_pages(draw: bool = True) -> dict[Path, str]:
    """The text of each page; with ``draw`` the pictures are drawn too.

    Raises:
        ConfigError: naming the template and the marker, if one cannot be filled in.
    """
    return {page_of(path): _page(path, draw) for path in sorted(TEMPLATES.rglob(f"*{SUFFIX}"))}


def page_of(template: Path) -> Path:
    """Where the page of a template is."""
    place = template.relative_to(TEMPLATES)
    return PROJECT / place.with_name(place.name.removesuffix(SUFFIX) + ".md")


def _page(template: Path, draw: bool) -> str:
    header = HEADER.format(template.relative_to(PROJECT).as_posix())
    try:
        return header + filled_in(template.read_text(), RECORDS, page_of(template), draw)
    except ConfigError as error:
        raise ConfigError(f"{template.relative_to(TEMPLATES)}: {error}") from error


if __name__ == "__main__":
    try:
        written = results_pages()
    except ConfigError as error:
        sys.exit(f"error: {error}")
    for page, text in written.items():
        page.parent.mkdir(exist_ok=True)
        page.write_text(text)
        print(f"Written: {page}")
