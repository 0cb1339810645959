"""One call of ``train_net.py``, and what it leaves in its folder."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tadistill.files import written_whole

from .fingerprint import different_keys, shown


@dataclass(eq=False)
class Run:
    """One call of ``train_net.py`` that leaves its results in a folder.

    Attributes:
        title: shown beside its progress.
        directory: its OUTPUT_DIR.
        config: the config file, relative to the repository.
        datasets: ``--register-coco`` triples.
        iterations: how many there are, for the progress; None for an evaluation.
        overrides: keys and values.
        evaluate_teacher: only evaluate the config's teacher.
        record_name: the file in its folder that says how far it is.
        about: tells, when a part of the run starts, what that file is to say of it: a run that
            was interrupted has several parts.
        depends_on: its fingerprint. A folder whose run had another one is not taken for this
            run's; None: whoever made the run has seen to that.
    """

    title: str
    directory: Path
    config: str
    datasets: list[tuple[str, Path, Path]]
    iterations: int | None = None
    overrides: list[str] = field(default_factory=list)
    evaluate_teacher: bool = False
    record_name: str = "run.json"
    about: Callable[[], dict] = dict
    depends_on: dict | None = None

    @property
    def arguments(self) -> list[str]:
        """Of ``train_net.py``."""
        arguments = ["--config-file", self.config]
        for dataset in self.datasets:
            arguments += ["--register-coco", *map(str, dataset)]
        if self.evaluate_teacher:
            arguments.append("--eval-teacher")
        return [*arguments, "OUTPUT_DIR", str(self.directory), *self.overrides]

    @property
    def state(self) -> str:
        """ "new", "started" or "finished". Raises SystemExit if the folder is of another run."""
        if not self._record.exists():
            return "new"
        record = self._read()
        was = record.get("depends_on") or {}
        keys = [] if self.depends_on is None else different_keys(was, self.depends_on)
        if keys:
            raise SystemExit(
                f"error: {self.directory} holds another run: {shown(keys, was, self.depends_on)}. "
                "Remove the folder to run this one, or choose another with --output"
            )
        return record["state"]

    @state.setter
    def state(self, state: str) -> None:
        self._write({**self._read(), "state": state, "depends_on": self.depends_on})

    @property
    def parts(self) -> list[dict]:
        """Of each part of the run what ``about`` said, ``seconds`` and ``peak_rss_mib``."""
        return self._read().get("parts", [])

    def begin_part(self) -> None:
        """Notes that the run is started, or resumed."""
        part = {**self.about(), "seconds": 0.0, "peak_rss_mib": None}
        self._write({**self._read(), "parts": [*self.parts, part]})

    def note(self, **values) -> None:
        """Notes values of the present part."""
        *parts, last = self.parts
        self._write({**self._read(), "parts": [*parts, {**last, **values}]})

    @property
    def metrics(self) -> list[dict]:
        """The scalars of metrics.json, one dict an iteration. A line may be cut short by an
        interruption, and the iterations after the last checkpoint are written again then.
        """
        path = self.directory / "metrics.json"
        lines = path.read_text().splitlines() if path.exists() else []
        by_iteration: dict[int, dict] = {}
        for scalars in (json.loads(line) for line in lines if line.endswith("}")):
            by_iteration.setdefault(scalars["iteration"], {}).update(scalars)
        return [by_iteration[iteration] for iteration in sorted(by_iteration)]

    @property
    def iterations_done(self) -> int:
        """As far as metrics.json says."""
        return max((m["iteration"] + 1 for m in self.metrics if "total_loss" in m), default=0)

    @property
    def _record(self) -> Path:
        return self.directory / self.record_name

    def _read(self) -> dict:
        return json.loads(self._record.read_text()) if self._record.exists() else {}

    def _write(self, record: dict) -> None:
        with written_whole(str(self._record), "w") as file:
            json.dump(record, file)
