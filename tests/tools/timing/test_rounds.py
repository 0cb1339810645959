"""Rounds are fair: all sides as often, in changing orders, with the same random numbers."""

import gc

import pytest
import torch
from timing import rounds as module
from timing.rounds import Clock, Stopwatch, run_rounds


@pytest.fixture
def time(monkeypatch):
    """A clock that is set by hand."""

    class Time:
        now = 0.0

        def perf_counter(self):
            return self.now

        def process_time(self):
            return 100 * self.now

    time = Time()
    monkeypatch.setattr(module, "time", time)
    return time


def recorder(name, calls):
    def side(watch):
        calls.append((name, torch.rand(1).item()))
        watch.mark("only")

    return side


def test_all_sides_run_once_a_round_in_changing_orders(clock):
    calls = []
    sides = {name: recorder(name, calls) for name in "abc"}
    seconds = run_rounds(sides, 12, clock, warmup=3)
    rounds = [calls[i : i + 3] for i in range(0, len(calls), 3)]
    assert len(rounds) == 15
    assert all(sorted(name for name, _ in r) == ["a", "b", "c"] for r in rounds)
    assert len({tuple(name for name, _ in r) for r in rounds}) > 2
    assert {len(values) for side in seconds.values() for values in side.values()} == {12}


def test_sides_of_a_round_draw_the_same_numbers_and_rounds_draw_others(clock):
    calls = []
    run_rounds({name: recorder(name, calls) for name in "ab"}, 3, clock, warmup=0)
    draws = [calls[i][1] for i in range(0, 6, 2)]
    assert [calls[i + 1][1] for i in range(0, 6, 2)] == draws
    assert len(set(draws)) == 3


def test_orders_come_back(clock):
    orders = []
    for _ in range(2):
        calls = []
        run_rounds({name: recorder(name, calls) for name in "abc"}, 5, clock)
        orders.append(calls)
    assert orders[0] == orders[1]


def test_each_phase_has_its_seconds(time, clock):
    def side(watch):
        for phase, seconds in (("forward", 1.0), ("backward", 2.0), ("forward", 0.5)):
            time.now += seconds
            watch.mark(phase)
        time.now += 0.25

    seconds = run_rounds({"a": side}, 2, clock, warmup=1)
    assert seconds == {"a": {"forward": [1.5, 1.5], "backward": [2.0, 2.0], "total": [3.75, 3.75]}}


def test_busy_machine_is_measured_by_the_processors_clock(time):
    watch = Stopwatch(Clock(torch.device("cpu"), busy_machine=True))
    watch.start()
    time.now += 1.0
    assert watch.stop() == {"total": 100.0}


def test_garbage_is_collected_between_rounds_only(clock):
    inside = []
    run_rounds({"a": lambda watch: inside.append(gc.isenabled())}, 2, clock)
    assert inside == [False] * 4
    assert gc.isenabled()


def test_garbage_collection_comes_back_after_an_error(clock):
    with pytest.raises(ZeroDivisionError):
        run_rounds({"a": lambda watch: 1 / 0}, 1, clock)
    assert gc.isenabled()
