"""projects/TADistill/ERRORS.md: its messages are the source's, its tests exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "projects/TADistill/ERRORS.md"
SOURCES = [ROOT / "projects/TADistill" / part for part in ("tadistill", "tools/ablation")]
ROW = re.compile(r"^\| (?P<wrong>[^|]+) \| `(?P<message>[^|]+)` \| `(?P<test>[^|]+)` \|$", re.M)
ROWS = [match.groupdict() for match in ROW.finditer(PAGE.read_text())]


def texts(path):
    """The strings of a source file; what an f-string fills in is an ellipsis."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(p.value if isinstance(p, ast.Constant) else "…" for p in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"%[sd]", "…", node.value)


TEXTS = [text for part in SOURCES for path in sorted(part.rglob("*.py")) for text in texts(path)]


def test_the_page_has_a_row_for_each_line_of_its_tables():
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    headings = [line for line in lines if "what is wrong" in line or "---" in line]
    assert len(ROWS) == len(lines) - len(headings) >= 25


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["wrong"])
def test_a_message_is_one_of_the_source(row):
    parts = [re.escape(part) for part in row["message"].split("…") if part]
    pattern = re.compile(".*".join(parts), re.S)
    assert any(pattern.search(text) for text in TEXTS), row["message"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["wrong"])
def test_the_test_of_a_row_exists(row):
    file, name = row["test"].split("::")
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
