"""Bytes that are kept for backward, and peaks."""

from functools import partial

import pytest
import torch
from timing.memory import forward_and_backward, kept_for_backward, peak, teacher_bytes
from timing.variants import Variant
from torch import nn

from tadistill.teacher import FrozenTeacher


class Squares(nn.Module):
    """Keeps as many maps of 4 kB as it squares; its parameter is not one of them."""

    def __init__(self, times):
        super().__init__()
        self.times = times
        self.weight = nn.Parameter(torch.rand(1000))

    def forward(self, batch):
        x = self.weight * 1.0
        for _ in range(self.times):
            x = x.square()
        return {"loss": x.sum()}


@pytest.mark.parametrize("times", [1, 4])
def test_each_map_that_backward_needs_counts_once(times):
    assert kept_for_backward(Squares(times), []) == {"kept": 4000 * times, "of_teacher": 0}


def test_peak_holds_what_is_kept():
    cpu = torch.device("cpu")
    few, many = (peak(partial(forward_and_backward, Squares(times), []), cpu) for times in (2, 12))
    assert few >= 8000
    assert 40000 <= many - few <= 44000


@pytest.fixture
def distilled(pair):
    return pair.distilled(Variant("every term"))


def test_nothing_of_the_teacher_is_kept(pair, distilled):
    kept = kept_for_backward(distilled, pair.batch)
    assert kept["of_teacher"] == 0
    assert kept["kept"] > kept_for_backward(pair.student, pair.batch)["kept"]


def test_teacher_that_keeps_its_maps_is_caught(pair, distilled, monkeypatch):
    features = FrozenTeacher.features

    def kept(self, images):
        # As if the teacher's maps were part of the graph.
        maps = features(self, images)
        return {k: v * torch.ones((), requires_grad=True) for k, v in maps.items()}

    monkeypatch.setattr(FrozenTeacher, "features", kept)
    assert kept_for_backward(distilled, pair.batch)["of_teacher"] > 0


def test_teachers_own_bytes(pair, distilled):
    sizes = teacher_bytes(distilled, pair.batch)
    tensors = [*pair.teacher.parameters(), *pair.teacher.buffers()]
    assert sizes["weights"] == sum(t.numel() * t.element_size() for t in tensors)
    # 2 images of 64 x 64 pixels, 16 channels: p2 to p6.
    assert sizes["maps"] == 4 * 2 * 16 * sum(side**2 for side in (16, 8, 4, 2, 1))
    # (3 + 1) logits and 4 * 3 deltas.
    assert sizes["head"] == 4 * (4 + 12) * sum(map(len, pair.sampled))
