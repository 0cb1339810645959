"""Where the repository is, from which the configs name their files."""

from pathlib import Path

REPO = Path(__file__).resolve().parents[4]
