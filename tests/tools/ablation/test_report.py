"""Tables, plots and figures in a text; and the page of results is that of its JSON."""

import json
import re

import numpy as np
import pytest
import results
from ablation.canvas import styles_of
from ablation.curves import mean_and_sd
from ablation.headings import short_heading
from ablation.markdown import cell
from ablation.report import filled_in, write_report
from ablation.table import load_table, spread, summarised
from matplotlib.figure import Figure
from PIL import Image
from toy_records import record
from trainings.fingerprint import digest

from tadistill.errors import ConfigError


@pytest.fixture
def fill_in(recorded, tmp_path):
    return lambda text: filled_in(text, recorded.parent, tmp_path / "page.md")


def test_a_table_has_a_line_a_row(fill_in):
    lines = fill_in("<!-- table: toy -->").splitlines()
    assert lines[0] == "| | n | AP | over the baseline | gap closed | AP50 | AP75 | APs | APm |"
    assert lines[2:5] == [
        "| `all` all terms | 2 | 14.5 ± 2.1 | +3.5 ± 0.7 | 0.70 | 60.0 | 30.0 | 1.0 | 2.0 |",
        "| `baseline` | 3 | 12.0 ± 2.0 | - | - | 60.0 | 30.0 | 1.0 | 2.0 |",
        "| `teacher` | - | 16.0 | - | - | 60.0 | 30.0 | 1.0 | 2.0 |",
    ]
    assert lines[-1].startswith("1,000 iterations. AP: mean ± sample standard deviation over n")
    assert lines[-1].endswith("On a processor (2 cores; 2 at once, 1 thread each).")


def test_what_rounds_to_zero_has_no_sign():
    assert cell(spread([-0.05, 0.03]), "{:+.1f}") == "0.0 ± 0.1"
    assert cell(spread([-0.05, -0.07]), "{:+.1f}") == "-0.1 ± 0.0"


def test_rows_of_a_table_can_be_chosen(fill_in):
    text = fill_in("<!-- table: toy baseline -->")
    assert "`baseline`" in text
    assert "`all`" not in text
    assert "gap closed |" not in text


@pytest.fixture
def bootstrap(recorded):
    """One as compare.py writes it: of a teacher, and of two seeds of its student."""
    folder = recorded.parent.parent / "bootstraps"
    folder.mkdir()
    overall = {"mean": 2.0, "sd_over_images": 0.81, "low": 0.42, "high": 3.6, "ahead": 0.99}
    found = {
        "title": "over the teacher",
        "images": 87,
        "aps": [[50.0, 51.0], [50.0, 53.0]],
        "by_pair": [1.0, 3.0],
        "overall": overall,
        "standard_error": 1.29,
    }
    path = folder / "val.json"
    path.write_text(json.dumps(found))
    return path


def test_bootstraps_have_a_line_each(fill_in, bootstrap):
    lines = fill_in("<!-- bootstraps: val -->").splitlines()
    assert lines[2:] == [
        "| over the teacher | 87 | 50.0 | 52.0 ± 1.4 | +2.0 ± 1.4 | 0.8 | +0.4 to +3.6 | 1.3 |"
    ]
    with pytest.raises(ConfigError, match=r"there is no .*test\.json"):
        fill_in("<!-- bootstraps: val test -->")


@pytest.mark.parametrize(
    ("marker", "text"),
    [
        ("pairs: val", "51.0, 53.0"),
        ("pairs_mean: val", "52.0 ± 1.4"),
        ("pairs: val over first", "+1.0, +3.0"),
        ("pairs_mean: val over first", "+2.0 ± 1.4"),
        ("pairs: val over toy baseline", "+41.0, +41.0"),  # 10 and 12 with the same seeds
        ("pairs: val over second val", "0.0, 0.0"),
        ("pairs_mean: val over second higher", "-3.0 ± 1.4"),  # 53 and 57
        ("pairs_teacher: val", "50.0"),
        ("pairs_gap: val toy baseline", "1.05"),  # (52 - 11) / (50 - 11)
    ],
)
def test_figures_of_pairs_that_a_bootstrap_scored(fill_in, bootstrap, marker, text):
    higher = json.loads(bootstrap.read_text()) | {"aps": [[1.0, 53.0], [2.0, 57.0], [3.0, 58.0]]}
    (bootstrap.parent / "higher.json").write_text(json.dumps(higher))
    assert fill_in(f"<!-- {marker} -->") == text


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("pairs: none", r"there is no .*none\.json"),
        ("pairs: val over", r"it must have \[over first"),
        ("pairs: val over toy none", "there is no record of row 'none'"),
        ("pairs: four over toy baseline", "'baseline' has not every seed of the 4 pairs"),
        ("pairs: val over second none", r"there is no .*none\.json"),
        ("pairs: four over second val", "'val' has not every seed of the 4 pairs"),
        ("pairs_teacher: two", "the first of its pairs is not one teacher"),
        ("pairs_teacher: val toy", "it must be pairs_teacher: NAME"),
        ("pairs_gap: val toy", "it must be pairs_gap: NAME TABLE"),
        ("pairs_gap: four toy all", "'all' has not every seed of the 4 pairs"),
        ("pairs_gap: behind toy baseline", "its teacher is not ahead of row 'baseline'"),
        ("pairs_gap: two toy baseline", "the first of its pairs is not one teacher"),
    ],
)
def test_pairs_that_are_not_there_are_named(fill_in, bootstrap, marker, message):
    found = json.loads(bootstrap.read_text())
    others = {
        "four": found["aps"] * 2,
        "behind": [[5.0, 51.0]],
        "two": [[50.0, 51.0], [60.0, 52.0]],
    }
    for name, aps in others.items():
        (bootstrap.parent / f"{name}.json").write_text(json.dumps(found | {"aps": aps}))
    with pytest.raises(ConfigError, match=message):
        fill_in(f"<!-- {marker} -->")


def test_figures_in_a_sentence(fill_in):
    text = "AP <!-- value: toy all AP -->, that is <!-- value: toy all gain -->."
    assert fill_in(text) == "AP 14.5 ± 2.1, that is +3.5 ± 0.7."


@pytest.mark.parametrize(
    ("marker", "text"),
    [
        ("seeds: toy all", "13.0, 16.0"),
        ("seeds: toy all over baseline", "+3.0, +4.0"),
        ("seeds: toy all over teacher", "-3.0, 0.0"),
        ("mean: toy all over baseline", "+3.5 ± 0.7"),
        ("mean: toy baseline over all", "-3.5 ± 0.7"),
        ("mean: toy baseline", "12.0 ± 2.0"),
        ("seeds: toy baseline seeds 2 0", "14.0, 10.0"),
        ("mean: toy baseline seeds 0 1", "11.0 ± 1.4"),
        ("seeds: toy all over baseline seeds 1", "+4.0"),
    ],
)
def test_figures_of_each_seed(fill_in, marker, text):
    assert fill_in(f"<!-- {marker} -->") == text


def test_figures_of_a_class(fill_in, recorded):
    for name, seed, ap in (("all", 0, 45.0), ("all", 1, 51.0), ("baseline", 0, 46.0)):
        path = recorded / f"{name}_{seed}.json"
        record = json.loads(path.read_text()) | {"class_AP": {"red cell": ap}}
        path.write_text(json.dumps(record))
    assert fill_in("<!-- seeds: toy all of red cell -->") == "45.0, 51.0"
    assert fill_in("<!-- seeds: toy all of red cell seeds 1 -->") == "51.0"
    with pytest.raises(ConfigError, match="row 'all' has no seed 2, 7"):
        fill_in("<!-- seeds: toy all seeds 2 1 7 -->")
    with pytest.raises(ConfigError, match="row 'baseline' has no AP of 'red cell'"):
        fill_in("<!-- seeds: toy all over baseline of red cell -->")


def test_tables_side_by_side_say_what_rows_have_over_the_defaults(fill_in, recorded):
    (recorded / "balance_0.json").write_text(json.dumps(record("balance", 0, 14.0)))
    other = recorded.parent / "other"
    other.mkdir()
    for name, ap in (("all", 19.0), ("alone", 17.0), ("balance", 20.0)):
        (other / f"{name}.json").write_text(json.dumps(record(name, 0, ap)))
    lines = [
        "| | toy<br>1,000 iterations<br>a processor | other<br>1,000 iterations<br>a processor |",
        "| --- | ---: | ---: |",
        "| **the defaults, over the baseline** | +4.0 | - |",
        "| `all` all terms | -1.0 | -1.0 |",
        "| `alone` | - | -3.0 |",
    ]
    assert fill_in("<!-- beside: toy other -->").splitlines() == lines
    assert fill_in("<!-- beside: toy other without alone -->").splitlines() == lines[:-1]


def test_rows_seed_by_seed_side_by_side(fill_in, recorded):
    other = recorded.parent / "other"
    other.mkdir()
    for name, seed, ap in (
        *(("all", 2, 19.0), ("baseline", 0, 17.0), ("baseline", 1, 17.0)),
        *(("alone", 1, 16.5), ("again", 0, 16.5), ("again", 1, 18.0)),
    ):
        (other / f"{name}_{seed}.json").write_text(json.dumps(record(name, seed, ap)))
    # Of which the heading says nothing: it is not shown.
    machine = {**record("far", 0, 1.0)["machine"], "processor": "another"}
    (other / "far_0.json").write_text(json.dumps(record("far", 0, 1.0, machine=machine)))
    text = fill_in("<!-- seed_table: all alone again over baseline in toy other -->")
    assert text.splitlines() == [
        "| over `baseline`, by seed | toy<br>1,000 iterations<br>a processor "
        "| other<br>1,000 iterations<br>a processor |",
        "| --- | ---: | ---: |",
        "| `all` | +3.0, +4.0 | - |",
        "| `alone` | - | -, -0.5 |",
        "| `again` | - | -0.5, +1.0 |",
    ]


@pytest.mark.parametrize(
    ("processors", "last_line"),
    [
        (["Intel(R) Xeon(R) Processor", "Intel(R) Xeon(R) Processor @ 2.00GHz"], "Intel Xeon"),
        (["AMD EPYC", "Intel(R) Xeon(R) Processor"], "1,000 iterations"),
    ],
)
def test_a_heading_ends_with_the_processor_if_there_is_one(processors, last_line):
    records = {
        seed: record("all", seed, 1.0, machine={"gpu": None, "processor": processor})
        for seed, processor in enumerate(processors)
    }
    assert short_heading(summarised({"all": records}), "toy").splitlines()[-1] == last_line


def test_tables_side_by_side_as_a_picture(fill_in, recorded, monkeypatch):
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kwargs: saved.append(figure))
    (recorded / "balance_0.json").write_text(json.dumps(record("balance", 0, 14.0)))
    other = recorded.parent / "other"
    other.mkdir()
    for name, seed, ap in (("all", 1, 19.0), ("balance", 0, 18.0), ("balance", 1, 20.0)):
        (other / f"{name}_{seed}.json").write_text(json.dumps(record(name, seed, ap)))
    text = fill_in("<!-- beside_plot: toy other -->")
    path = "recorded/plots/beside_toy_other.png"
    words = "toy, 1,000 iterations, a processor; other, 1,000 iterations, a processor"
    assert text == f"![over the defaults: {words}]({path})"
    dots = [
        [list(line.get_xdata()) for line in axes.lines if line.get_marker() == "o"]
        for axes in saved[0].axes
    ]
    assert dots == [[[-4.0], [-1.0]], [[-1.0]]]  # in one the baseline too
    names = [[label.get_text() for label in axes.get_yticklabels()] for axes in saved[0].axes]
    assert names == [["baseline", "all"], ["", ""]]


@pytest.fixture
def two_settings(recorded):
    """``toy`` with the defaults, and ``long`` without a teacher, with a patient baseline."""
    for seed, ap in enumerate([13.0, 14.0, 18.0]):
        (recorded / f"balance_{seed}.json").write_text(json.dumps(record("balance", seed, ap)))
    long = recorded.parent / "long"
    long.mkdir()
    for name, ap in (("baseline", 16.0), ("balance", 20.0), ("baseline_longer", 17.0)):
        iterations = {"iterations": 3000 if name == "baseline_longer" else 2000}
        (long / f"{name}.json").write_text(json.dumps(record(name, 0, ap, **iterations)))


def test_settings_in_a_line_each(fill_in, two_settings):
    assert fill_in("<!-- overview: toy toy+long long -->").splitlines()[2:] == [
        "| toy | 1,000 | 16.0 | 12.0 ± 2.0 | 15.0 ± 2.6 | +3.0 ± 1.0 | 0.75 | - | - |",
        "| toy | 1,000 | 16.0 | 12.0 ± 2.0 | 15.0 ± 2.6 | +3.0 ± 1.0 | 0.75 "
        "| 16.0 (n = 1) (2,000 iterations) | -3.0 (n = 1) |",
        "| long | 2,000 | - | 16.0 (n = 1) | 20.0 (n = 1) | +4.0 | - "
        "| 17.0 (n = 1) (3,000 iterations) | +3.0 |",
    ]


def test_settings_as_a_picture(fill_in, two_settings, monkeypatch):
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kwargs: saved.append(figure))
    path = "recorded/plots/overview.png"
    assert fill_in("<!-- overview_plot: toy+long long -->").endswith(f"({path})")
    (axes,) = saved[0].axes
    dots = [
        (line.get_label(), list(line.get_xdata()))
        for line in axes.lines
        if line.get_marker() == "o" or line.get_label() == "teacher"
    ]
    in_the_time = "baseline, about as much time"
    assert dots == [
        ("baseline", [10.0, 12.0, 14.0]),
        ("distilled", [13.0, 14.0, 18.0]),
        (in_the_time, [16.0]),
        ("teacher", [16.0, 16.0]),
        ("baseline", [16.0]),
        ("distilled", [20.0]),
        (in_the_time, [17.0]),
    ]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["toy\n1,000 iterations", "long\n2,000 iterations"]


def test_the_command_leaves_row_and_seed_open(fill_in):
    command = fill_in("<!-- command: toy -->")
    assert "--rows ROW \\\n    --seeds SEED" in command


def test_the_command_has_the_data_where_the_page_about_them_puts_them(fill_in, recorded):
    path = recorded / "all_0.json"
    record = json.loads(path.read_text())
    record["command"] += (
        ' --register-coco bccd_val "$DATA/val.json" "$DATA/images" --register-coco mine a.json b'
        " --output output/again --records output/again"
    )
    path.write_text(json.dumps(record))
    command = fill_in("<!-- command: toy -->")
    assert "bccd_val output/data/bccd/val.json output/data/BCCD_Dataset/BCCD/JPEGImages" in command
    assert "mine a.json b" in command
    assert "--output output/again/nowhere \\\n    --records output/again/nowhere\n" in command


@pytest.mark.parametrize("kind", ["ap", "final", "gain", "gates"])
def test_a_plot_is_drawn_and_shown(fill_in, recorded, kind):
    text = fill_in(f"<!-- plot: toy {kind} baseline all -->")
    words = f"{kind}: toy, 1,000 iterations, a processor"
    assert text == f"![{words}](recorded/toy/plots/{kind}_baseline_all.png)"
    with Image.open(recorded / f"plots/{kind}_baseline_all.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10


def test_where_a_scalar_begins_and_ends(fill_in, recorded):
    gates = {"iteration": [19, 39, 59], "gate_box": [0.5, 0.3, None]}  # not measured at the end
    (recorded / "all_2.json").write_text(json.dumps(record("all", 2, 1.0, gates=gates)))
    assert fill_in("<!-- ends: toy all gate_box -->") == "0.6 to 0.6"
    assert fill_in("<!-- ends: toy all gate_logit -->") == "0.9 to 0.8"


def test_what_a_balance_multiplied_by_is_drawn(fill_in, recorded):
    path = recorded / "all_0.json"
    record = json.loads(path.read_text())
    record["gates"]["balance_box"] = [4.0] * len(record["gates"]["iteration"])
    path.write_text(json.dumps(record))
    fill_in("<!-- plot: toy scales -->")
    assert (recorded / "plots/scales.png").is_file()


def test_one_legend_names_the_rows_of_all_axes(fill_in, recorded, monkeypatch):
    """Of which the last here has one row alone."""
    for name, gates in (("all_0", ["gate_logit"]), ("baseline_0", ["gate_logit", "gate_feature"])):
        path = recorded / f"{name}.json"
        record = json.loads(path.read_text())
        record["gates"] = {"iteration": [1, 2], **{gate: [0.5, 0.4] for gate in gates}}
        path.write_text(json.dumps(record))
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kwargs: saved.append(figure))
    fill_in("<!-- plot: toy gates all baseline -->")
    (legend,) = [axes.get_legend() for axes in saved[0].axes if axes.get_legend()]
    assert {text.get_text() for text in legend.get_texts()} == {"all", "baseline"}


def test_a_dot_a_seed_where_the_baseline_has_that_seed_too(fill_in, monkeypatch):
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kwargs: saved.append(figure))
    fill_in("<!-- plot: toy gain -->")
    (axes,) = saved[0].axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["all"]
    (dots,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert sorted(dots.get_xdata()) == [3.0, 4.0]


def test_a_row_has_one_colour_in_all_pictures():
    def colours(*names):
        rows = summarised({name: {0: record(name, 0, 10.0)} for name in names})
        return {row.name: style["color"] for row, style in styles_of(rows).items()}

    some = colours("baseline", "balance", "baseline_longer")
    many = colours("all", "feature", "baseline_longer", "logit", "balance", "baseline")
    assert len(set(many.values())) == 6
    assert some == {name: many[name] for name in some}


def test_a_single_seed_is_hollow(fill_in, recorded, monkeypatch):
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kwargs: saved.append(figure))
    (recorded / "alone_0.json").write_text(json.dumps(record("alone", 0, 14.0)))
    fill_in("<!-- plot: toy final baseline alone -->")
    (axes,) = saved[0].axes
    fills = {len(x.get_xdata()): x.get_fillstyle() for x in axes.lines if x.get_marker() == "o"}
    assert fills == {3: "full", 1: "none"}


def test_band_of_a_curve():
    iterations, mean, sd = mean_and_sd([{10: 1.0, 20: 2.0}, {20: 4.0, 30: 9.0}])
    assert (list(iterations), list(mean)) == ([20], [3.0])
    assert sd == pytest.approx([np.sqrt(2)])
    assert list(mean_and_sd([{10: 1.0}])[2]) == [0.0]


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        (
            "<!-- tabel: toy -->",
            "there is no such marker; there are table, beside, beside_plot, overview",
        ),
        ("<!-- table:  -->", "it must be table: NAME"),
        ("<!-- beside: without all -->", "it must be beside: NAME"),
        ("<!-- overview: toy -->", "toy: there is no record of row 'balance'"),
        ("<!-- overview:  -->", "it must be overview: NAME"),
        ("<!-- beside: toy without none -->", "there is no record of row 'none'"),
        ("<!-- table: nothing -->", "there is no record in"),
        ("<!-- table: toy none -->", "there is no record of row 'none'"),
        ("<!-- plot: toy pie -->", r"it must be plot: NAME\[/BUDGET\] ap\|final\|gain"),
        ("<!-- plot: toy scales -->", "no record has any scales"),
        ("<!-- plot: toy gain baseline -->", "no record has any gain"),
        ("<!-- value: toy all -->", "it must be value"),
        ("<!-- value: toy all price -->", "it must be value"),
        ("<!-- ends: toy all -->", "it must be ends: NAME"),
        ("<!-- ends: toy all balance_box -->", "no record has any balance_box"),
        ("<!-- seeds: toy -->", r"it must have ROW \[over ROW\]"),
        ("<!-- seeds: toy all baseline -->", r"it must have ROW \[over ROW\]"),
        ("<!-- seed_table: all in toy -->", "it must have ROW … over ROW in NAME"),
        ("<!-- seed_table: none over baseline in toy -->", "there is no record of row 'none'"),
        ("<!-- seed_table: all over none in toy -->", "there is no record of row 'none'"),
        ("<!-- beside: toy -->", "toy: there is no record of row 'balance'"),
        ("<!-- beside_plot: toy -->", "toy: there is no record of row 'balance'"),
        ("<!-- seed_table: teacher over baseline in toy -->", "no table has row 'teacher' with a"),
        ("<!-- mean: toy none over baseline -->", "there is no record of row 'none'"),
        ("<!-- mean: toy all over none -->", "there is no record of row 'none'"),
    ],
)
def test_a_marker_that_cannot_be_filled_in_is_named(fill_in, marker, message):
    with pytest.raises(ConfigError, match=f"{re.escape(marker)}: .*{message}"):
        fill_in(marker)


def test_a_picture_of_the_defaults_alone_is_not_drawn(fill_in, recorded):
    (recorded / "balance_7.json").write_text(json.dumps(record("balance", 7, 14.0)))
    with pytest.raises(ConfigError, match="no table has a row with a seed of the defaults"):
        fill_in("<!-- beside_plot: toy -->")


def test_other_comments_stay(fill_in):
    assert fill_in("<!-- nothing to do -->") == "<!-- nothing to do -->"


def test_report_has_what_there_is(recorded):
    page = write_report(recorded, [None], "Toy")
    assert "# Toy" in page.read_text()
    assert "14.5 ± 2.1" in page.read_text()
    pictures = {path.stem for path in recorded.glob("plots/*")}
    assert pictures == {"ap", "final", "gain", "gates"}
    with pytest.raises(ConfigError, match="--report: there is no record"):
        write_report(recorded.parent, [None], "Nothing")


class TestTheResultsInTheRepository:
    def test_pages_are_those_of_their_records(self):
        pages = results.results_pages(draw=False)
        assert {*pages} == {results.PROJECT / "RESULTS.md", *results.PROJECT.glob("results/*.md")}
        for path, page in pages.items():
            assert path.read_text() == page, "run projects/TADistill/tools/results.py"
            for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page):
                assert (path.parent / picture).is_file()

    def test_a_template_that_cannot_be_filled_in_is_named(self, monkeypatch, tmp_path):
        (tmp_path / "results").mkdir()
        (tmp_path / "results/some.template.md").write_text("<!-- table: nothing -->")
        monkeypatch.setattr(results, "TEMPLATES", tmp_path)
        monkeypatch.setattr(results, "PROJECT", tmp_path)
        message = r"results/some\.template\.md: <!-- table: nothing -->: there is no record"
        with pytest.raises(ConfigError, match=message):
            results.results_pages()

    def test_records_are_strict_json_and_of_their_fingerprint(self):
        def refuse(constant):
            raise ValueError(constant)

        for path in results.RECORDS.rglob("*.json"):
            record = json.loads(path.read_text(), parse_constant=refuse)
            assert record["fingerprint"] == digest(record["depends_on"]), path

    def test_students_on_the_test_photos_are_those_of_the_validation_photos(self):
        again = sorted((results.RECORDS / "bccd_near_test").glob("*_seed*.json"))
        assert len(again) == 6
        for path in again:
            scored_on_test, first = (
                json.loads((results.RECORDS / grid / path.name).read_text())
                for grid in ("bccd_near_test", "bccd_near")
            )
            for curves in ("losses", "gates"):
                assert scored_on_test[curves] == first[curves], path.name

    def test_no_row_is_clearly_ahead_of_the_defaults_after_a_long_training_on_photos(self):
        """Both pages say so in words, of the rows with three seeds: in each of these."""
        others = {
            row.name: row.beside_defaults.values()
            for row in load_table(results.RECORDS / "bccd", "long")
            if len(row.beside_defaults) == 3 and row.name != "baseline_longer"
        }
        assert len(others) >= 16
        assert [name for name, over in others.items() if min(over) > 0] == ["sigma_2"]
        assert min(others["sigma_2"]) < 0.1
        level_or_ahead = {name for name, over in others.items() if min(over) > -0.1}
        assert level_or_ahead == {"sigma_2", "no_decay", "no_gates"}
        behind = {name for name, over in others.items() if max(over) < 0}
        assert len(behind) > len(others) / 2
        assert behind >= {
            *("all", "first_half", "logit", "box", "logit_foreground", "instance_gate"),
            *("proposals_teacher", "whole_map", "hinton", "sharing", "balance_1"),
        }
