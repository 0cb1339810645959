"""On what the figures were measured, and with which commands."""

from collections.abc import Iterator
from pathlib import Path

from ..record import RUNS, command, file_name
from .markdown import Cells, table
from .recorded import Recorded


@table("file", "machine", "threads", "load before", "torch", "commit")
def machines(recorded: Recorded) -> Iterator[Cells]:
    """What each file was measured on."""
    for name, result in recorded.items():
        about = result["about"]
        yield (
            f"`{name}.json`",
            about["gpu"] or f"{about['processor']}, {about['cores']} cores",
            about["threads"],
            about["load"],
            about["versions"]["torch"],
            about["commit"],
        )


def commands(recorded: Recorded) -> Iterator[str]:
    """What wrote each file."""
    yield "```"
    for name, result in recorded.items():
        for run in RUNS:
            if name == Path(file_name(run, result["about"]["device"])).stem:
                yield command(run, result["about"]["device"])
    yield "```"
