"""BENCHMARK.md says what the JSON says."""

import json
from pathlib import Path

import benchmark
import pytest
from timing.record import DIRECTORY, RUNS, arguments, command, file_name
from timing.report import NOT_MEASURED, TABLES, TEMPLATE, render

from tadistill.errors import ConfigError

PAGE = DIRECTORY.parents[1] / "BENCHMARK.md"
KEYS = {"median": 1.0, "q1": 0.9, "q3": 1.1}


def figures(median):
    """Of a ratio whose median is known to 0.5 %."""
    return {
        **{"median": median, "q1": median - 0.01, "q3": median + 0.01},
        **{"low": median - 0.005, "high": median + 0.005},
        **{"of_medians": median, "of_fastest": median - 0.002},
    }


@pytest.fixture
def directory(tmp_path):
    (tmp_path / TEMPLATE).write_text("# Title\n\n{{steps}}\n\nWords.\n\n{{targets}}\n")
    return tmp_path


def write_step(directory, name="step-demo", device="cpu", **changes):
    parts = {"sharing": 1.0, "mask": 1.0, "adapters": 3.0, "adapters backward": 5.0, "step": 100.0}
    memory = {
        "a": {"peak": 10e6, "kept": 8e6, "of_teacher": 0},
        "c": {"peak": 12e6, "kept": 9e6, "of_teacher": 0},
        "b": {"peak": 4e6},
        "teacher": {"weights": 5e6, "maps": 2e6, "head": 1e6, "adapters": 1e5},
        "c above a": {"peak": 8.1e6, "kept": 7e6},
        "allowed": 8e6,
        "holds": {"peak": False, "kept": True},
    }
    step = {"forward": KEYS, "backward": KEYS, "optimizer": KEYS, "total": KEYS}
    both = {"b": ["backbone"], "opts": [], "c / (a + b)": figures(1.02), "c / a": figures(1.5)}
    pair = {
        "batch": {"images": 8, "height": 160, "width": 160, "boxes": 8, "sampled": 512},
        "seconds": {"a: student step": step, "b: teacher inference": step, "every term": step},
        "variants": {"every term": both},
        "parts": parts,
        "memory": memory,
        **changes,
    }
    about = {
        "device": device,
        "gpu": "a GPU" if device == "cuda" else None,
        "processor": "a processor",
        "cores": 2,
        "threads": 2,
        "load": 0.1,
        "versions": {"torch": "2.12"},
        "commit": "abc",
    }
    content = {"about": about, "pairs": {"configs/demo/distilled.yaml": pair}}
    (directory / f"{name}.json").write_text(json.dumps(content))


def test_page_is_what_its_json_says():
    if not PAGE.exists():
        pytest.skip("nothing is recorded yet")
    assert PAGE.read_text() == render(DIRECTORY)


def test_template_of_the_repository_asks_for_known_tables_alone():
    page = render(DIRECTORY)
    assert "{{" not in page


def test_words_stay_and_tables_are_filled_in(directory):
    write_step(directory)
    page = render(directory)
    assert page.startswith("# Title\n\n| pair |")
    assert "\n\nWords.\n\n| pair |" in page
    row = "| `demo/distilled.yaml` | cpu, 2 threads | 8 of 160 x 160 | 1 (0.9 to 1.1) |"
    assert row in page
    assert "| 1.020 (1.010 to 1.030) | 1.018 | 1.500 (1.490 to 1.510) |" in page


def test_what_was_not_measured_is_said_to_be(directory):
    assert render(directory) == f"# Title\n\n{NOT_MEASURED}\n\nWords.\n\n{NOT_MEASURED}\n"


def test_gpu_has_rows_only_where_it_was_run(directory):
    write_step(directory)
    assert "cuda" not in render(directory)
    write_step(directory, "step-demo-cuda", "cuda")
    assert "| `demo/distilled.yaml` | cuda |" in render(directory)


@pytest.mark.parametrize(
    ("median", "verdict"),
    [(1.02, "yes"), (1.026, "within the noise"), (1.034, "within the noise"), (1.04, "**no**")],
)
def test_target_is_met_or_missed_where_the_noise_lets_one_say(directory, median, verdict):
    step = {"b": ["backbone"], "opts": [], "c / (a + b)": figures(median), "c / a": figures(1.5)}
    write_step(directory, variants={"every term": step})
    interval = f"{median:.3f} (95 %: {median - 0.005:.3f} to {median + 0.005:.3f})"
    assert f"every term | at most 1.03 | {interval} | {verdict} |" in render(directory)


def test_targets_of_shares_and_memory(directory):
    write_step(directory)
    page = render(directory)
    # Sharing and mask; the adapters are not in it.
    assert "at most 2 % | 2.00 % | yes |" in page
    assert "c above a | at most 8.0 MB | 7.0 MB | yes |" in page
    assert "c above a | at most 8.0 MB | 8.1 MB | **no** |" in page


def test_best_of_the_fast_teachers_has_a_target_of_its_own(directory):
    def step(ratio, *opts):
        ratios = {"c / (a + b)": figures(ratio), "c / a": figures(1.2)}
        return {"b": ["backbone"], "opts": list(opts), **ratios}

    key = "MODEL.TADISTILL.TEACHER.DTYPE"
    variants = {
        "every term": step(1.02),
        "no teacher": step(0.5, "MODEL.TADISTILL.ENABLED", False),
        "half": step(0.9, key, "bfloat16"),
        "whole": step(0.99, key, "float32"),
    }
    phases = dict.fromkeys(("forward", "backward", "optimizer", "total"), KEYS)
    sides = dict.fromkeys((*variants, "a: student step", "b: teacher inference"), phases)
    write_step(directory, variants=variants, seconds=sides)
    assert "c / (a + b), half | at most 0.95 | 0.900 (95 %" in render(directory)


def test_unknown_table_is_an_error(directory):
    (directory / TEMPLATE).write_text("{{nothing}}\n")
    with pytest.raises(ValueError, match="no table 'nothing'"):
        render(directory)


def test_all_tables_bear_that_nothing_was_measured():
    assert all(isinstance(list(table({})), list) for table in TABLES.values())


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_recorded_commands_are_understood(run, device):
    args = benchmark.parse_arguments(arguments(run, device))
    assert args.device == device
    assert args.json.name == file_name(run, device)
    assert all((benchmark.REPO / config).is_file() for config in args.config)
    assert args.opts == list(run.opts)
    assert command(run, device).startswith("python projects/TADistill/tools/benchmark.py --config")


def test_nothing_to_do_is_an_error(capsys):
    with pytest.raises(SystemExit):
        benchmark.parse_arguments([])
    assert "--config" in capsys.readouterr().err


def test_page_and_picture_from_a_run(cfg, tmp_path, monkeypatch, capsys):
    """The whole of it: configs in, JSON, page and picture out."""
    from timing import growth

    cfg.SOLVER.BASE_LR = 0.01
    config = tmp_path / "tiny.yaml"
    config.write_text(cfg.dump())
    axis = growth.Axis("boxes an image", (1, 2), lambda boxes: growth.Shape(1, 64, boxes))
    monkeypatch.setattr(growth.measure_growth, "__defaults__", ([axis],))
    monkeypatch.chdir(benchmark.REPO)
    for section in benchmark.SECTIONS:
        monkeypatch.setattr("timing.torchdistill_sides.torchdistill", None)
        words = ["--config", str(config), "--section", section, "--rounds", "1", "--side", "64"]
        more = [
            "--images",
            "1",
            "--only",
            "distillation off",
            "--json",
            str(tmp_path / f"{section}.json"),
        ]
        benchmark.measure(benchmark.parse_arguments([*words, *more]))
    assert "c / (a + b)" in capsys.readouterr().out

    benchmark.writable(tmp_path / "step.json")  # of an earlier measurement
    (tmp_path / TEMPLATE).write_text((DIRECTORY / TEMPLATE).read_text())
    benchmark.write_page(tmp_path, tmp_path / "BENCHMARK.md")
    page = (tmp_path / "BENCHMARK.md").read_text()
    assert NOT_MEASURED not in page
    assert page.count("tiny.yaml") >= 10
    assert Path(tmp_path / "growth.png").stat().st_size > 10_000


def test_figures_are_not_written_over_anything_else(tmp_path):
    other = tmp_path / "annotations.json"
    other.write_text('{"images": []}')
    with pytest.raises(ConfigError, match="is there, and is no measurement"):
        benchmark.writable(other)
    assert other.read_text() == '{"images": []}'
    with pytest.raises(ConfigError, match="cannot be written"):
        benchmark.writable(other / "figures.json")


def test_asking_for_a_file_leaves_none_behind(tmp_path):
    figures = tmp_path / "new" / "figures.json"
    assert benchmark.writable(figures) == figures
    assert not figures.exists()
