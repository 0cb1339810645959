"""Adapters: one 1x1 convolution a level, from the student's channels to the teacher's."""

import torch
from detectron2.layers import ShapeSpec

from tadistill.adapters import Adapters
from tadistill.levels import LevelPair

LEVELS = {
    "p3": LevelPair(ShapeSpec(channels=4, stride=8), ShapeSpec(channels=6, stride=8), "c3"),
    "p4": LevelPair(ShapeSpec(channels=5, stride=16), ShapeSpec(channels=5, stride=16), "c4"),
}


def test_lead_to_the_teachers_channels_at_each_level():
    features = {
        "p2": torch.rand(2, 4, 9, 9),
        "p3": torch.rand(2, 4, 5, 7),
        "p4": torch.rand(2, 5, 3, 4),
    }
    adapted = Adapters(LEVELS)(features)
    assert {name: tuple(x.shape) for name, x in adapted.items()} == {
        "p3": (2, 6, 5, 7),
        "p4": (2, 5, 3, 4),
    }


def test_are_linear_maps_of_each_cell_alone():
    adapters = Adapters(LEVELS)
    features = {"p3": torch.rand(1, 4, 2, 3), "p4": torch.rand(1, 5, 1, 1)}
    expected = torch.einsum(
        "oc,ncij->noij", adapters["p3"].weight[:, :, 0, 0], features["p3"]
    ) + adapters["p3"].bias.view(1, -1, 1, 1)
    torch.testing.assert_close(adapters(features)["p3"], expected)


def test_are_named_by_level_in_the_state_dict():
    assert list(Adapters(LEVELS).state_dict()) == ["p3.weight", "p3.bias", "p4.weight", "p4.bias"]


def test_of_no_level_are_none():
    assert Adapters({})({"p3": torch.rand(1, 4, 2, 2)}) == {}
