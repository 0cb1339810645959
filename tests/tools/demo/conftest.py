"""The demo's modules can be imported as its scripts import them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "projects/TADistill/tools/demo"))
