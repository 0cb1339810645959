"""The parts of a step: each function that is named exists, is called, and is counted once."""

import pytest
import torch
from timing import rounds as rounds_module
from timing.parts import BACKWARD, FUNCTIONS, OURS, _resolve, measure_parts, ours, watched
from timing.variants import Variant
from tiny import step

import tadistill.distillation
import tadistill.rcnn


@pytest.mark.parametrize("path", [path for paths in FUNCTIONS.values() for path in paths])
def test_named_function_exists(path):
    owner, name = _resolve(path)
    assert callable(getattr(owner, name))


def test_each_part_of_a_step_takes_time(pair, clock):
    model = pair.distilled(Variant("every term"))
    parts = measure_parts(pair.cfg, model, pair.batch, clock, rounds=1)
    assert set(parts) == {*FUNCTIONS, *BACKWARD, "step"}
    assert all(parts[name] > 0 for name in FUNCTIONS)
    assert sum(parts[name] for name in FUNCTIONS) < parts["step"]


def test_parts_that_are_switched_off_take_none(pair, clock):
    off = ("MODEL.TADISTILL.FEATURE.WEIGHT", 0.0, "MODEL.TADISTILL.BOX.WEIGHT", 0.0)
    model = pair.distilled(Variant("logit", off))
    parts = measure_parts(pair.cfg, model, pair.batch, clock, rounds=1)
    assert parts["mask"] == parts["adapters"] == parts["adapters backward"] == 0
    assert parts["terms"] > 0


def test_time_in_another_part_counts_there_alone(pair, monkeypatch):
    class Time:
        now = 0.0

        def perf_counter(self):
            return self.now

    time = Time()
    monkeypatch.setattr(rounds_module, "time", time)

    def taking(seconds, function):
        def slow(*args, **kwargs):
            time.now += seconds
            return function(*args, **kwargs)

        slow.__name__ = function.__name__
        return slow

    for module, name, seconds in (
        (tadistill.distillation, "gaussian_masks", 5.0),
        (tadistill.distillation, "logit_term", 3.0),
        (tadistill.rcnn, "distillation_losses", 2.0),
        (tadistill.rcnn, "share_proposals", 1.0),
    ):
        monkeypatch.setattr(module, name, taking(seconds, getattr(module, name)))
    clock = rounds_module.Clock(torch.device("cpu"))
    with watched(clock) as (seconds, _):
        step(pair.distilled(Variant("every term")), pair.batch)
    assert {part: s for part, s in seconds.items() if s} == {
        "mask": 5.0,
        "terms": 3.0,
        "rest of ours": 2.0,
        "sharing": 1.0,
    }


def test_functions_are_as_they_were_afterwards(pair, clock):
    before = [getattr(*_resolve(path)) for paths in FUNCTIONS.values() for path in paths]
    with watched(clock):
        pass
    assert [getattr(*_resolve(path)) for p in FUNCTIONS.values() for path in p] == before


def test_ours_leaves_out_teacher_and_sampling_and_the_adapters_on_request():
    parts = dict.fromkeys((*FUNCTIONS, *BACKWARD, "step"), 1.0)
    assert ours(parts) == len(OURS) + len(BACKWARD)
    assert ours(parts, without=("adapters",)) == len(OURS) + len(BACKWARD) - 2
