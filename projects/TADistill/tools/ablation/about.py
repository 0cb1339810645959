"""What a reader needs to judge a figure: program, versions, machine."""

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

import detectron2
import torch
from trainings import REPO, cores

PACKAGES = (
    "torch",
    "torchvision",
    "detectron2",
    "numpy",
    "timm",
    "pycocotools",
    "pillow",  # resizes the images
    "opencv-python",  # wrote those of the demo
)


def about(device: str, threads: int, at_once: int) -> dict:
    """Of a run that starts now.

    Args:
        device: MODEL.DEVICE.
        threads: of the run.
        at_once: runs at the same time.
    """
    return {
        **git_state(),
        "versions": versions(),
        "machine": {**machine(device), "threads": threads, "runs_at_once": at_once},
    }


def git_state() -> dict:
    """The commit, and whether files that git knows were changed since."""
    return {
        "commit": _git("rev-parse", "HEAD") or None,
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


@cache
def versions() -> dict:
    """Of Python, and of the packages that are there."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found | {"detectron2": found.get("detectron2", detectron2.__version__)}


@cache
def machine(device: str) -> dict:
    """Processor, its vectors, cores, memory and, if the run is on one, the GPU."""
    described = {
        "processor": _processor(),
        # Which of torch's kernels: another width of vectors sums in another order.
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "cores": cores(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "gpu": None,
    }
    if device.startswith("cuda") and torch.cuda.is_available():
        described["gpu"] = torch.cuda.get_device_name(device)
    return described


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(REPO), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""
