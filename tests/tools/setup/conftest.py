import sys
from pathlib import Path

import pytest

SETUP = Path(__file__).resolve().parents[3] / "projects" / "TADistill" / "tools" / "setup"


@pytest.fixture(autouse=True)
def setup_tools_on_path(monkeypatch):
    """The setup tools are scripts beside one another, not a package."""
    monkeypatch.setattr(sys, "path", [str(SETUP), *sys.path])
