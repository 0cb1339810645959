import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tadistill.decay import build_schedule, decay_weight
from tadistill.errors import ConfigError

STEPS = (0.5, 0.8)


def weight(name, iteration, max_iter, steps=STEPS, gamma=0.1):
    return decay_weight(build_schedule(name, steps, gamma), iteration, max_iter)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        # At iterations 0, 25, 50, 75 and 100 of 101: t_max is 100.
        ("linear", [1, 0.75, 0.5, 0.25, 0]),
        ("cosine", [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0]),
        ("constant", [1, 1, 1, 1, 1]),
        ("step", [1, 1, 0.1, 0.1, 0.01]),
    ],
)
def test_schedules(name, weights):
    found = [weight(name, t, max_iter=101) for t in (0, 25, 50, 75, 100)]
    assert found == pytest.approx(weights, abs=1e-12)
    assert all(type(w) is float for w in found)


@given(
    t=st.integers(0, 90_000),
    max_iter=st.integers(2, 90_000),
    steps=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4, unique=True).map(sorted),
    gamma=st.floats(0, 1),
)
def test_is_the_formula(t, max_iter, steps, gamma):
    """At iterations of the training, and beyond it."""
    progress = min(t, max_iter - 1) / (max_iter - 1)
    found = {
        name: weight(name, t, max_iter, steps, gamma)
        for name in ("linear", "cosine", "step", "constant")
    }
    reached = len([s for s in steps if s <= progress])
    assert found == pytest.approx(
        {
            "linear": 1 - progress,
            "cosine": math.cos(math.pi * progress / 2) ** 2,
            "step": math.prod([gamma] * reached),
            "constant": 1,
        },
        abs=1e-12,
    )


@pytest.mark.parametrize("max_iter", [2, 3, 7, 100, 90_000])
@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_ends_at_exactly_zero(name, max_iter):
    """The teacher is then not run at all, which a small number in its place would not tell."""
    assert weight(name, 0, max_iter) == 1
    assert weight(name, max_iter - 1, max_iter) == 0
    assert weight(name, max_iter - 2, max_iter) > 0


@pytest.mark.parametrize("name", ["linear", "cosine", "step", "constant"])
@given(
    max_iter=st.integers(1, 1000),
    iterations=st.tuples(st.integers(0, 2000), st.integers(0, 2000)).map(sorted),
)
def test_falls_within_one_and_zero(name, max_iter, iterations):
    early, late = (weight(name, t, max_iter) for t in iterations)
    assert 0 <= late <= early <= 1


@pytest.mark.parametrize("name", ["linear", "cosine", "step", "constant"])
def test_stays_at_its_end_beyond_the_training(name):
    end = weight(name, 9, 10)
    assert weight(name, 10, 10) == weight(name, 10_000, 10) == end
    assert weight(name, -1, 10) == 1


@pytest.mark.parametrize("name", ["linear", "cosine", "step", "constant"])
def test_a_training_of_one_iteration_is_distilled(name):
    assert weight(name, 0, max_iter=1) == 1


def test_a_step_is_taken_when_it_is_reached():
    # t_max is 10, so 0.5 is reached at iteration 5 and 0.8 at 8.
    found = [weight("step", t, 11, gamma=0.5) for t in range(11)]
    assert found == [1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_a_gamma_of_zero_switches_off():
    assert [weight("step", t, 11, gamma=0) for t in (4, 5, 9)] == [1, 0, 0]
    assert [weight("step", t, 11, gamma=1) for t in (4, 5, 9)] == [1, 1, 1]


def test_a_pure_function_of_the_iteration():
    """A resumed training asks for the middle first."""
    schedule = build_schedule("step", [0.3], 0.5)
    forwards = [decay_weight(schedule, t, 10) for t in range(10)]
    backwards = [decay_weight(schedule, t, 10) for t in reversed(range(10))]
    assert forwards == backwards[::-1]


def test_an_unknown_schedule_is_named():
    with pytest.raises(ConfigError, match=r"MODEL\.TADISTILL\.DECAY\.SCHEDULE is 'exponential'"):
        build_schedule("exponential")
    with pytest.raises(ConfigError, match=r"'linear', 'cosine', 'step', 'constant'"):
        build_schedule("Linear")


@pytest.mark.parametrize(
    "steps",
    [
        *([], [0.0, 0.5], [0.5, 1.0], [1000, 2000], [-0.1], [0.8, 0.5], [0.5, 0.5], [math.nan]),
        *([math.inf], ["0.5", "0.8"], [0.5, "0.8"], [None]),
    ],
)
def test_bad_steps_are_named(steps):
    with pytest.raises(ConfigError, match=r"MODEL\.TADISTILL\.DECAY\.STEPS is \[") as error:
        build_schedule("step", steps, 0.1)
    assert repr(steps) in str(error.value)


@pytest.mark.parametrize("gamma", [-0.1, 1.1, math.nan, math.inf])
def test_a_bad_gamma_is_named(gamma):
    with pytest.raises(ConfigError, match=rf"MODEL\.TADISTILL\.DECAY\.GAMMA is {gamma}"):
        build_schedule("step", STEPS, gamma)


@pytest.mark.parametrize("name", ["linear", "cosine", "constant"])
def test_steps_are_not_asked_of_other_schedules(name):
    assert weight(name, 0, 10, steps=[], gamma=-1) == 1
