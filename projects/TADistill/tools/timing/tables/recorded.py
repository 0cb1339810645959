"""What ``benchmark.py`` recorded, by section and by pair."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

Recorded = Mapping[str, dict]  # by file name, without its ending


class Pair(NamedTuple):
    """What a section measured of one pair of teacher and student."""

    config: str  # as seen from configs/
    about: dict
    measured: dict

    def names(self) -> tuple[str, str]:
        """The pair and the device as tables name them; of a CPU, how many threads it had too."""
        device = self.about["device"]
        if device == "cpu":
            threads = self.about["threads"]
            device = f"cpu, {threads} thread" + "s" * (threads != 1)
        return f"`{self.config}`", device


def results(recorded: Recorded, section: str) -> Iterator[dict]:
    """The content of each of the section's files."""
    for name, result in recorded.items():
        if name == section or name.startswith(section + "-"):
            yield result


def pairs(recorded: Recorded, section: str) -> Iterator[Pair]:
    """The pairs in the section's files."""
    for result in results(recorded, section):
        for config, measured in result["pairs"].items():
            yield Pair(config.removeprefix("configs/"), result["about"], measured)
