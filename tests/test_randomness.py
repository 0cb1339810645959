"""Random numbers by key, and nothing else's disturbed."""

import contextlib
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tadistill.randomness import SeedStepsHook, seeded


def draw():
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_a_key_gives_its_numbers_whatever_was_drawn_before():
    with seeded(1, 2):
        first = draw()
    draw()
    with seeded(1, 2):
        assert draw() == first


@pytest.mark.parametrize("other", [(1,), (2, 1), (1, 3), (1, 2, 1)])
def test_other_keys_give_other_numbers(other):
    with seeded(1, 2):
        first = draw()
    with seeded(*other):
        assert not set(draw()) & set(first)


def test_afterwards_the_numbers_go_on_where_they_were():
    torch.manual_seed(0), np.random.seed(0), random.seed(0)
    expected = [draw(), draw()]
    torch.manual_seed(0), np.random.seed(0), random.seed(0)
    found = [draw()]
    with contextlib.suppress(ZeroDivisionError), seeded(5):
        draw()
        raise ZeroDivisionError
    assert [*found, draw()] == expected


def test_a_step_is_seeded_by_seed_iteration_and_rank(monkeypatch):
    hook, seen = SeedStepsHook(), []
    for seed, iteration, rank in [(1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 1)]:
        monkeypatch.setattr("detectron2.utils.comm.get_rank", lambda rank=rank: rank)
        hook.trainer = SimpleNamespace(seed=seed, iter=iteration)
        numbers = []
        for _ in range(2):
            hook.before_step()
            numbers.append(draw())
            draw()
        assert numbers[0] == numbers[1]
        seen.extend(numbers[0])
    assert len(set(seen)) == len(seen) == 12
