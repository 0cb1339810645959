"""``BENCHMARK.md``: a template's words around tables made from the recorded JSON."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from .tables.about import commands, machines
from .tables.deployed import deployed
from .tables.growth import growth
from .tables.memory import memory
from .tables.recorded import Recorded
from .tables.side_by_side import side_by_side
from .tables.step import parts, phases, steps, variants
from .tables.targets import targets

TEMPLATE = "BENCHMARK.template.md"
NOT_MEASURED = "*Not measured yet.*"
_MARKER = re.compile(r"^\{\{(\w+)\}\}$", re.M)

TABLES: dict[str, Callable[[Recorded], Iterator[str]]] = {
    "machines": machines,
    "targets": targets,
    "steps": steps,
    "phases": phases,
    "variants": variants,
    "parts": parts,
    "memory": memory,
    "growth": growth,
    "side_by_side": side_by_side,
    "deployed": deployed,
    "commands": commands,
}


def render(directory: Path) -> str:
    """The page.

    Args:
        directory: with the JSON files of :mod:`timing.record` and the template, in which each line
            ``{{name}}`` stands for a table.

    Raises:
        ValueError: if the template asks for a table that does not exist.
    """
    recorded = read_recorded(directory)

    def table(match: re.Match) -> str:
        name = match[1]
        if name not in TABLES:
            raise ValueError(f"{TEMPLATE}: there is no table {name!r}; there are {list(TABLES)}")
        return "\n".join(TABLES[name](recorded)) or NOT_MEASURED

    return _MARKER.sub(table, (directory / TEMPLATE).read_text())


def read_recorded(directory: Path) -> dict[str, dict]:
    """What ``benchmark.py`` wrote, in the order of the names."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))}
