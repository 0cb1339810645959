"""What is to be said of a conversion that went through."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from .errors import first_few


@dataclass
class Notices:
    """What was done to the data on the way, each kind with the files it was done to."""

    files: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, file: str) -> None:
        """One more of a kind."""
        self.files.setdefault(kind, []).append(file)

    def lines(self) -> Iterator[str]:
        """One a kind."""
        for kind, files in self.files.items():
            yield f"{kind}: {len(files)} ({first_few(dict.fromkeys(files))})"
