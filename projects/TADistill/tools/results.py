#!/usr/bin/env python
"""Writes projects/TADistill/RESULTS.md anew: the text of recorded/ablations/RESULTS.template.md,
with tables, plots and figures from the raw JSON of the runs beside it.

    python projects/TADistill/tools/results.py
"""

import sys
from pathlib import Path

from ablation.report import filled_in

from tadistill.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[1]
RECORDS = PROJECT / "recorded/ablations"
TEMPLATE = RECORDS / "RESULTS.template.md"
PAGE = PROJECT / "RESULTS.md"
HEADER = (
    "<!-- Written by projects/TADistill/tools/results.py from RESULTS.template.md and the JSON in "
    "recorded/ablations. -->\n\n"
)


def results_page(draw: bool = True) -> str:
    """The page; with ``draw`` its pictures are drawn too."""
    return HEADER + filled_in(TEMPLATE.read_text(), RECORDS, PAGE, draw)


if __name__ == "__main__":
    try:
        PAGE.write_text(results_page())
    except ConfigError as error:
        sys.exit(f"error: {TEMPLATE.name}: {error}")
    print(f"Written: {PAGE}")
