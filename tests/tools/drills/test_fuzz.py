"""The long fuzzing: what it counts, and what it says of a property that fails."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

DRILLS = Path(__file__).resolve().parents[3] / "projects/TADistill/tools/drills"
RECORDED = Path(__file__).resolve().parents[3] / "projects/TADistill/recorded/drills/fuzz.json"

PROPERTIES = """
import pytest
from hypothesis import assume, given, strategies as st

@pytest.mark.parametrize("sign", [1, -1])
@given(st.integers())
def test_square(sign, x):
    assert (sign * x) ** 2 >= 0

class TestHalf:
    @given(st.floats(0, 1))
    def test_is_less(self, x):
        assume(x > 0.25)
        assert x / 2 < x

def test_no_property():
    raise AssertionError("is not run")
"""
WRONG = """
@given(st.integers(0, 1000))
def test_small(x):
    assert x < 10
"""


@pytest.fixture
def drill(tmp_path):
    """Runs the script on a test file of its own."""

    def drill(content, cases=100):
        (tmp_path / "tests/terms").mkdir(parents=True)
        (tmp_path / "tests/terms/test_made_up.py").write_text(content)
        (tmp_path / "pyproject.toml").touch()
        run = (
            "import sys; from pathlib import Path; import fuzz; "
            f"fuzz.REPO, fuzz.TESTS = Path({str(tmp_path)!r}), ['tests/terms/test_made_up.py']; "
            "sys.exit(fuzz.main(fuzz.parse_arguments()))"
        )
        arguments = ["--cases", str(cases), "--json", str(tmp_path / "new folder/fuzz.json")]
        done = subprocess.run(
            [sys.executable, "-c", run, *arguments], cwd=DRILLS, capture_output=True, text=True
        )
        return done, json.loads((tmp_path / "new folder/fuzz.json").read_text())

    return drill


def test_counts_the_cases_of_each_property(drill):
    done, report = drill(PROPERTIES)
    assert done.returncode == 0, done.stdout
    (counted,) = report["cases_by_property"].values()
    assert list(report["cases_by_property"]) == ["tadistill.terms.made_up"]
    assert set(counted) == {"test_square[1]", "test_square[-1]", "TestHalf::test_is_less"}
    assert all(count >= 34 for count in counted.values())
    assert report["cases"] == sum(counted.values()) >= 100
    assert report["failures"] == {}
    assert report["seed"] == 0
    assert set(report["versions"]) == {"python", "torch", "numpy", "detectron2", "hypothesis"}


def test_a_property_that_fails_is_reported_with_its_case(drill):
    done, report = drill(PROPERTIES + WRONG)
    assert done.returncode == 1
    (name,) = report["failures"]
    assert name == "tests/terms/test_made_up.py::test_small"
    assert "x=10" in report["failures"][name]


def test_fewer_cases_than_asked_for_are_a_failure(drill):
    done, report = drill(PROPERTIES.replace("st.integers()", "st.just(1)"))
    assert report["failures"] == {}
    assert report["cases"] < 100
    assert done.returncode == 1


def test_what_is_recorded_is_whole():
    report = json.loads(RECORDED.read_text())
    assert report["cases"] >= 20_000
    assert report["failures"] == {}
