"""The demo's table: means, spreads and the one sentence that matters."""

import json

import pytest
import summary


def row(name, seed, ap):
    costs = {"parameters": 1_234_567, "gflops": 0.5, "seconds_per_iteration": 0.25}
    return {"name": name, "seed": seed, "AP": ap, "AP50": 60.0, "AP75": 30.0, **costs} | {
        "seconds_per_image": 0.02
    }


@pytest.fixture
def rows():
    aps = {"teacher": [70.0], "baseline": [10.0, 12.0], "distilled": [21.0, 25.0]}
    return [row(name, seed, ap) for name, group in aps.items() for seed, ap in enumerate(group)]


def test_gain_is_paired_by_seed(rows):
    assert summary.gain(rows) == "Distilled - baseline: +12.0 ± 1.4 AP over 2 seeds (+11.0, +13.0)."


def test_loss_of_ap_is_said_as_plainly_as_a_gain(rows):
    worse = [r | {"AP": 5.0} if r["name"] == "distilled" else r for r in rows]
    assert summary.gain(worse).startswith("Distilled - baseline: -6.0")


def test_one_seed_claims_no_spread(rows):
    assert "no spread" in summary.gain([r for r in rows if r["seed"] == 0])


def test_markdown_has_mean_and_spread_only_where_seeds_differ(rows):
    table = summary.markdown_table(rows)
    assert "| baseline | 11.0 ± 1.4 | 60.0 | 30.0 | 1.23 | 0.50 | 0.250 | 20.0 |" in table
    assert "| teacher | 70.0 | 60.0 |" in table
    assert summary.CAVEAT in table


def test_files_hold_the_rows(rows, tmp_path):
    summary.write_results(tmp_path, rows, {"about": {"seeds": [0, 1]}})
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["rows"] == rows
    assert written["about"] == {"seeds": [0, 1]}
