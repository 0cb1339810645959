"""Interleaved measuring: in each round every side runs once, in an order drawn for that round.

Whatever disturbs the machine for a while then disturbs all sides alike, and a ratio can be taken
round by round.
"""

import gc
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch


@dataclass(frozen=True)
class Clock:
    """
    Attributes:
        device: a GPU is waited for before the clock is read.
        busy_machine: seconds of this process on the processor, not those on the wall: they leave
            out the time in which other processes ran. Only with one thread are they those of a
            quiet machine, and even then caches are shared.
    """

    device: torch.device
    busy_machine: bool = False

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def now(self) -> float:
        """Seconds, when all that was begun is done."""
        if self.on_gpu:
            torch.cuda.synchronize()
        return time.process_time() if self.busy_machine else time.perf_counter()


class Stopwatch:
    """Seconds between marks. On a GPU the marks are events in its stream: the side does not wait
    at them, only at the start and at the end.
    """

    def __init__(self, clock: Clock):
        self._clock = clock

    def start(self) -> None:
        """Begins anew, with the device idle."""
        self._began = self._clock.now()
        self._marks = [("", self._moment())]

    def mark(self, phase: str) -> None:
        """Ends ``phase``, which began at the last mark."""
        self._marks.append((phase, self._moment()))

    def stop(self) -> dict[str, float]:
        """Seconds of each phase, and of all as "total"."""
        total = self._clock.now() - self._began
        phases: dict[str, float] = {}
        for (_, start), (phase, end) in pairwise(self._marks):
            phases[phase] = phases.get(phase, 0.0) + self._between(start, end)
        return {**phases, "total": total}

    def _moment(self):
        if not self._clock.on_gpu:
            return self._clock.now()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _between(self, start, end) -> float:
        return start.elapsed_time(end) / 1e3 if self._clock.on_gpu else end - start


Side = Callable[[Stopwatch], object]
Seconds = dict[str, dict[str, list[float]]]  # by side, by phase: one a round


def run_rounds(
    sides: Mapping[str, Side],
    rounds: int,
    clock: Clock,
    warmup: int = 2,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> Seconds:
    """Runs all sides in each round.

    Args:
        sides: by name; each marks its phases on the stopwatch that it is given. Before each, the
            random state is set to the round's seed: all sides of a round sample alike.
        rounds: how many are measured.
        clock: what they are measured with.
        warmup: rounds before that, which are not measured.
        seed: of the orders and of the sides' random states.
        progress: called after each measured round.
    """
    orders = random.Random(seed)
    seconds: Seconds = {name: {} for name in sides}
    watch = Stopwatch(clock)
    for number in range(-warmup, rounds):
        order = list(sides)
        orders.shuffle(order)
        gc.collect(1)  # what the last round left; all older objects would take a second
        gc.disable()  # of a collection one side would bear the cost of all
        try:
            for name in order:
                torch.manual_seed(seed + warmup + number)
                watch.start()
                sides[name](watch)
                for phase, value in watch.stop().items():
                    if number >= 0:
                        seconds[name].setdefault(phase, []).append(value)
        finally:
            gc.enable()
        if number >= 0:
            progress(number + 1)
    return seconds
