"""What the demo says that an iteration costs."""

import costs
import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer
from timing.rounds import Clock
from tiny import build, student_cfg

from tadistill.balance import GradientBalance
from tadistill.data import register_coco

pytestmark = pytest.mark.usefixtures("registered_datasets")


def test_iterations_are_those_between_two_measurements_of_the_balance(
    teacher_files, coco_files, tmp_path, monkeypatch
):
    """One in twenty measures. If all did here, the table would say that distilling costs double."""
    register_coco([("mine", str(coco_files.annotations), str(coco_files.images))])
    cfg = student_cfg(
        teacher_files,
        *("DATASETS.TRAIN", ("mine",), "DATASETS.TEST", ("mine",)),
        *("MODEL.TADISTILL.BALANCE.ENABLED", True, "OUTPUT_DIR", str(tmp_path)),
    )
    model = build(cfg)
    DetectionCheckpointer(model, str(tmp_path)).save("student")
    cfg.MODEL.WEIGHTS = str(tmp_path / "student.pth")

    balanced, measured = [], []
    forward = GradientBalance.forward
    monkeypatch.setattr(
        GradientBalance,
        "forward",
        lambda self, *args: balanced.append(True) or forward(self, *args),
    )
    monkeypatch.setattr(
        GradientBalance, "_measure", lambda self, *args: measured.append(len(balanced))
    )
    of = costs.measure_costs({"distilled": cfg})["distilled"]
    assert of["seconds_per_iteration"] > 0
    assert len(balanced) == costs.WARMUP_ROUNDS + costs.ROUNDS
    assert measured == [1]  # the first step, which warms up
    assert costs.WARMUP_ROUNDS >= 1


def test_a_gpu_is_waited_for_before_the_clock_is_read(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: waited.append("for the GPU"))
    calls = {name: lambda inputs, name=name: waited.append(name) for name in ("first", "second")}
    costs._interleaved(calls, [1] * (costs.WARMUP_ROUNDS + 1), Clock(torch.device("cuda")))
    gpu = "for the GPU"
    assert waited[:6] == [gpu, "first", gpu, gpu, "second", gpu]
