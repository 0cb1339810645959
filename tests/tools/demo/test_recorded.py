"""The demo's record, and that another machine made it again."""

import json
from pathlib import Path

RECORDED = Path(__file__).resolve().parents[3] / "projects/TADistill/recorded/demo"


def test_a_demo_that_was_made_again_is_the_same_to_the_last_digit():
    """As recorded/demo/README.md says; what it cost is another machine's."""
    one, other = (
        json.loads((RECORDED / f"{n}.json").read_text()) for n in ("results", "again_2ghz")
    )
    assert one["curves"] == other["curves"]
    for row, again in zip(one["rows"], other["rows"], strict=True):
        same = [key for key in row if "seconds" not in key]
        assert {"name", "AP", "AP50", "AP75", "gflops"} <= {*same}
        assert [row[key] for key in same] == [again[key] for key in same]
