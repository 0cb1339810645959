"""From a grid to its runs: one for each seed, budget and row, in the order in which they run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detectron2.config import CfgNode
from trainings import Run
from trainings.fingerprint import fingerprint

from tadistill.errors import ConfigError

from .grid import Grid, Row
from .resolve import as_opts, resolved_config

CHECKPOINTS_A_RUN = 20  # at least: what a run that is stopped loses is one part of 20 at most


@dataclass(eq=False)
class RowRun:
    """A row with a seed and a budget.

    Attributes:
        row: of the grid.
        seed: None where nothing is trained.
        budget: its name; None if the grid has none, or nothing is trained.
        cfg: as ``train_net.py`` has it.
        run: of ``train_net.py``.
        record: the path of its JSON.
        fingerprint: what its result depends on.
    """

    row: Row
    seed: int | None
    budget: str | None
    cfg: CfgNode
    run: Run
    record: Path
    fingerprint: dict

    @property
    def name(self) -> str:
        """For a reader: ``feature, long, seed 0``."""
        return self.run.title


def row_runs(
    grid: Grid,
    seeds: Sequence[int],
    *,
    config: str | None = None,
    rows: Sequence[str] | None = None,
    budgets: Sequence[str] | None = None,
    datasets: Sequence[tuple[str, Path, Path]] = (),
    opts: Sequence[str] = (),
    output: Path,
    records: Path,
) -> list[RowRun]:
    """The runs of a grid: all rows with the first seed come before any with the second, so that
    a table can be made early.

    Args:
        grid: see :mod:`ablation.grid`.
        seeds: of each row that is trained.
        config: instead of the grid's.
        rows: their names; None: all.
        budgets: their names; None: all.
        datasets: ``--register-coco`` triples, registered.
        opts: keys and values that win over the rows'.
        output: for their folders.
        records: for their JSON.

    Raises:
        ConfigError: naming the file and the row, if there is no such row, budget, file or key.
    """
    chosen = _chosen(rows, grid.rows, "--rows", grid)
    budgets = _chosen(budgets, grid.budgets, "--budgets", grid) or [None]

    def row_run(row: Row, seed: int | None, budget: str | None) -> RowRun:
        source = f"--grid {grid.path}: row {row.name!r}"
        path = row.config or config or grid.config
        if path is None:
            raise ConfigError(f"{source} has no config: give --config, or name one in the grid")
        overrides = {**grid.common, **grid.budgets.get(budget, {}), **row.overrides}
        arguments = [*as_opts(overrides, path, source), *opts]
        if seed is not None:
            arguments += ["SEED", str(seed)]
        cfg = resolved_config(path, arguments, source)
        steps = cfg.SOLVER.MAX_ITER
        period = max(1, min(cfg.SOLVER.CHECKPOINT_PERIOD, steps // CHECKPOINTS_A_RUN))
        file_name = row.name if seed is None else f"{row.name}_seed{seed}"
        place = Path(budget or "") / file_name
        if len(cfg.DATASETS.TEST) != 1:
            raise ConfigError(
                f"{source} has {len(cfg.DATASETS.TEST)} data sets in DATASETS.TEST: the AP of a "
                "record is that of one"
            )
        if "OUTPUT_DIR" in arguments:
            raise ConfigError(f"{source} sets OUTPUT_DIR, which each run has its own of (--output)")
        run = Run(
            ", ".join(filter(None, [row.name, budget, f"seed {seed}" if seed is not None else ""])),
            output / place,
            path,
            list(datasets),
            None if row.evaluate_teacher else steps,
            [*arguments, "SOLVER.CHECKPOINT_PERIOD", str(period)],
            row.evaluate_teacher,
        )
        record = records / place.with_name(f"{file_name}.json")
        values = fingerprint(cfg, row.evaluate_teacher)
        return RowRun(row, seed, budget, cfg, run, record, values)

    untrained = [grid.rows[name] for name in chosen if grid.rows[name].evaluate_teacher]
    trained = [grid.rows[name] for name in chosen if not grid.rows[name].evaluate_teacher]
    return [row_run(row, None, None) for row in untrained] + [
        row_run(row, seed, budget) for seed in seeds for budget in budgets for row in trained
    ]


def _chosen(names: Sequence[str] | None, known: dict, argument: str, grid: Grid) -> list[str]:
    for name in names or ():
        if name not in known:
            raise ConfigError(
                f"{argument} {name}: {grid.path} has {', '.join(known) or 'none of them'}"
            )
    return [name for name in known if names is None or name in names]
