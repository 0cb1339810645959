"""The properties that the tests try on a few examples each, on as many as one likes.

Runs the Hypothesis tests of the pure functions (terms, mask, gates, proposals, box coding, decay,
levels, ground truth) against the float64 reference in tests/reference, and writes what was tried
to a JSON file. Exits with 1 if a property failed or fewer cases were tried than asked for.

    python projects/TADistill/tools/drills/fuzz.py --cases 20000 --json fuzz.json [--seed 0]
"""

import argparse
import json
import platform
import sys
import time
from collections import Counter, defaultdict
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

REPO = Path(__file__).resolve().parents[4]
# Each mirrors a module of tadistill.
TESTS = [
    *("tests/terms/test_mask.py", "tests/terms/test_feature.py", "tests/terms/test_logit.py"),
    *("tests/terms/test_box.py", "tests/test_gates.py", "tests/test_proposals.py"),
    *("tests/test_box_coding.py", "tests/test_ground_truth.py", "tests/test_levels.py"),
    "tests/test_decay.py",
]


class Fuzzer:
    """A pytest plugin that runs the Hypothesis tests alone, on an equal number of examples each, at
    least ``total`` in all, and counts the cases.

    Attributes:
        cases: how many cases went through each test, those that Hypothesis threw away for an
            unmet assumption left out.
        failures: the report of each test that failed, with the case that it failed at.
    """

    def __init__(self, total: int):
        self._total = total
        self.cases: Counter[str] = Counter()
        self.failures: dict[str, str] = {}
        self._running = ""

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if is_hypothesis_test(item.obj)]
        examples = settings(
            max_examples=-(-self._total // len(items)),
            deadline=None,
            derandomize=False,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        for test in {item.function for item in items}:  # one for all of its parameters
            examples(test)
            self._count(test.hypothesis)

    def pytest_runtest_setup(self, item):
        self._running = item.nodeid

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failures[report.nodeid] = report.longreprtext

    def _count(self, handle):
        inner_test = handle.inner_test

        def counting(*args, **kwargs):
            inner_test(*args, **kwargs)
            self.cases[self._running] += 1

        handle.inner_test = counting


def fuzz(cases: int, seed: int) -> dict:
    """Runs every property; what was tried, and what failed."""
    fuzzer = Fuzzer(cases)
    files = [str(REPO / test) for test in TESTS]
    pytest.main(
        [
            *("--rootdir", str(REPO), "--config-file", str(REPO / "pyproject.toml"), *files),
            *("--hypothesis-seed", str(seed), "--timeout", "0", "-p", "no:cacheprovider", "-v"),
        ],
        plugins=[fuzzer],
    )
    by_module = defaultdict(dict)
    for test, count in sorted(fuzzer.cases.items()):
        path, name = test.split("::", 1)
        module = path.removeprefix("tests/").removesuffix(".py").replace("test_", "")
        by_module[f"tadistill.{module.replace('/', '.')}"][name] = count
    return {
        "cases": fuzzer.cases.total(),
        "cases_by_property": by_module,
        "failures": fuzzer.failures,
    }


def parse_arguments(argv=None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--cases", type=int, default=20_000, help="in all")
    parser.add_argument("--json", type=Path, default=Path("fuzz.json"))
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> int:
    start = time.time()
    found = fuzz(args.cases, args.seed)
    packages = ("torch", "numpy", "detectron2", "hypothesis")
    report = {
        **found,
        "asked_for": args.cases,
        "seed": args.seed,
        "seconds": round(time.time() - start, 1),
        "versions": {"python": platform.python_version(), **{p: version(p) for p in packages}},
    }
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(report, indent=2) + "\n")
    print(f"{report['cases']} cases, {len(report['failures'])} failures: {args.json}")
    return int(bool(report["failures"]) or report["cases"] < args.cases)


if __name__ == "__main__":
    sys.exit(main(parse_arguments()))
