"""The runs whose JSON the repository keeps, and the commands that repeat them."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[4]
DIRECTORY = REPO / "projects/TADistill/recorded/benchmark"
SCRIPT = "projects/TADistill/tools/benchmark.py"
DEMO = "configs/demo/distilled.yaml"
LITE = "configs/lite/distilled.yaml"
COCO = "configs/COCO/R_50_FPN_1x_from_R_101_FPN_3x.yaml"


DEMO_VARIANTS = (
    "no feature term",
    "balance, measured each time",
    "fold BN",
    "bfloat16, fold BN, channels last",
    "distillation off",
)
# Where a round takes seconds.
FEW_VARIANTS = ("no feature term", "bfloat16, fold BN, channels last")
LITE_TEACHER = ("MODEL.TADISTILL.TEACHER.CONFIG_FILE", "configs/lite/teacher.yaml")


@dataclass(frozen=True)
class Run:
    """
    Attributes:
        name: of the JSON file, without ending and device.
        config: of the pair.
        arguments: for ``benchmark.py``.
        on_gpu: instead of them on a GPU, where batches may be larger.
        opts: config keys and values.
    """

    name: str
    config: str
    arguments: tuple[str, ...]
    on_gpu: tuple[str, ...] | None = None
    opts: tuple[str, ...] = ()


RUNS = (
    Run("step-demo", DEMO, ("--rounds", "30")),
    # Of one thread the times spread less: what the others' rounds cannot tell apart.
    Run(
        "step-demo-one-thread", DEMO, ("--rounds", "60", "--threads", "1", "--only", *DEMO_VARIANTS)
    ),
    Run(
        "step-lite",
        LITE,
        ("--rounds", "30", "--side", "300", "--only", *FEW_VARIANTS),
        ("--rounds", "30", "--side", "300"),
        LITE_TEACHER,
    ),
    Run(
        "step-coco",
        COCO,
        ("--rounds", "30", "--side", "800", "--images", "1", "--only", "every term"),
        ("--rounds", "30", "--side", "800", "--images", "4"),
    ),
    Run("growth", DEMO, ("--section", "growth", "--rounds", "3")),
    Run(
        "side-by-side",
        COCO,
        ("--section", "side-by-side", "--rounds", "30", "--side", "128", "--images", "1"),
        ("--section", "side-by-side", "--rounds", "30", "--side", "800", "--images", "4"),
    ),
    Run("deployed-demo", DEMO, ("--section", "deployed", "--rounds", "30")),
    Run("deployed-lite", LITE, ("--section", "deployed", "--rounds", "30"), opts=LITE_TEACHER),
    Run("deployed-coco", COCO, ("--section", "deployed", "--rounds", "10")),
)


def file_name(run: Run, device: str) -> str:
    """``step-demo.json``, and ``step-demo-cuda.json`` of a GPU."""
    return f"{run.name}{'' if device == 'cpu' else '-' + device}.json"


def arguments(run: Run, device: str) -> list[str]:
    """The command line of a run."""
    target = (DIRECTORY / file_name(run, device)).relative_to(REPO)
    words = ["--config", run.config, "--json", str(target)]
    if device != "cpu":
        words += ["--device", device, *(run.on_gpu or run.arguments)]
    else:
        words += run.arguments
    return [*words, *(["--opts", *run.opts] if run.opts else [])]


def command(run: Run, device: str) -> str:
    """As one would type it."""
    quoted = (f'"{word}"' if " " in word else word for word in arguments(run, device))
    return f"python {SCRIPT} {' '.join(quoted)}"


def record(device: str, names: Sequence[str] = ()) -> None:
    """Does the runs, or those of ``names``, each in a process of its own.

    Raises:
        subprocess.CalledProcessError: if one of them fails.
    """
    for run in RUNS:
        if names and run.name not in names:
            continue
        print(f"\n$ {command(run, device)}", flush=True)
        subprocess.run([sys.executable, SCRIPT, *arguments(run, device)], cwd=REPO, check=True)
