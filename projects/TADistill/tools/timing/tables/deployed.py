"""The student beside its teacher, once deployed."""

from collections.abc import Iterator

from .cells import ratio, three_digits
from .markdown import Cells, table
from .recorded import Recorded, pairs


@table(
    *("pair", "device", "image side", "teacher, images / s", "student, images / s"),
    *("times faster", "parameters, M"),
)
def deployed(recorded: Recorded) -> Iterator[Cells]:
    """Images a second."""
    models = ("teacher", "student")
    for pair in pairs(recorded, "deployed"):
        measured = pair.measured
        rates = (three_digits(measured["images / s"][name]["median"]) for name in models)
        counts = (f"{measured['parameters'][name] / 1e6:.2f}" for name in models)
        yield (
            *pair.names(),
            measured["side"],
            *rates,
            ratio(measured["teacher / student"]),
            " to ".join(counts),
        )
