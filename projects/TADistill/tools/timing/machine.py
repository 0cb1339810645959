"""What a measurement was made on: figures mean nothing without it."""

import os
import platform
import subprocess
from pathlib import Path

import detectron2
import torch

from .rounds import Clock


def about(clock: Clock) -> dict:
    """The machine, its load when the measuring began, versions, and the commit."""
    gpu = torch.cuda.get_device_name(clock.device) if clock.on_gpu else None
    git = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "device": clock.device.type,
        "clock": "processor" if clock.busy_machine else "wall",
        "gpu": gpu,
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        # Processes that wanted a core in the last minute: near 0 on a quiet machine.
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "bfloat16": _flag("avx512_bf16") or _flag("amx_bf16"),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "detectron2": detectron2.__version__,
        },
        "commit": git.stdout.strip() or None,
    }


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _flag(name: str) -> bool:
    """Whether the processor has an instruction set (Linux on x86)."""
    return name in _cpuinfo("flags").split()


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
