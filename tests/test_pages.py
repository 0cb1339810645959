"""The links between the pages lead to files, and to headings, that are there."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ".template.md"  # whose links are those of the pages made of them
PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "projects").rglob("*.md"))]
    if not page.name.endswith(TEMPLATES)
]
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")


def text_of(page):
    """Without what is code: a comment in it looks like a heading, an index like a link."""
    fences = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
    return re.sub(
        r"`[^`\n]*`",
        lambda code: code.group().replace("](", "] ("),
        fences.sub("", page.read_text()),
    )


@cache
def anchors_of(page):
    """As GitHub makes them of the headings."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links_of(page):
    """(the file, its heading or nothing) of each link that does not leave the repository."""
    for target, anchor in LINK.findall(text_of(page)):
        if not target.startswith(("http", "mailto:")):
            yield (page.parent / target).resolve() if target else page, anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    missing = [
        f"{file.relative_to(ROOT)}#{anchor}"
        for file, anchor in links_of(page)
        if not file.exists() or (anchor and anchor not in anchors_of(file))
    ]
    assert missing == []


def test_links_are_found():
    found = [link for page in PAGES for link in links_of(page)]
    assert len(found) > 150
    assert sum(bool(anchor) for _, anchor in found) > 50
