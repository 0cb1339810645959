"""What the properties are tried on: ordinary values, and those at which arithmetic breaks.

Coordinates and logits lie on quarters, which float32 holds exactly: "inside the box", "more than"
are then the same question in float32 as in the reference's float64. Large arrays are drawn from a
seed, with a few entries on top that Hypothesis chooses.
"""

import math

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

broken = st.sampled_from([math.nan, math.inf, -math.inf])
seeds = st.integers(0, 2**32 - 1)
# None, a few, around gaussian_mask's chunk of 16, and a crowd.
counts = st.sampled_from([0, 1, 1, 2, 2, 3, 4, 6, 15, 16, 17, 33, 500])
precisions = st.sampled_from([torch.float32, torch.float32, torch.bfloat16, torch.float16])


def quarters(low: float, high: float) -> st.SearchStrategy[float]:
    """Multiples of 1/4 in [low, high]."""
    return st.integers(int(4 * low), int(4 * high)).map(lambda q: q / 4)


@st.composite
def box_rows(draw, count=counts, low=-50, high=150, proper=False, unusable=False):
    """(R, 4) boxes, XYXY, float64.

    Args:
        count: strategy of R.
        low, high: where the corners lie.
        proper: all have width and height; else some have none, or negative ones.
        unusable: some have NaN or infinite coordinates.
    """
    rng = np.random.default_rng(draw(seeds))
    rows = rng.integers(4 * low, 4 * high, (draw(count), 4)) / 4
    start, size = np.minimum(rows[:, :2], rows[:, 2:]), np.abs(rows[:, 2:] - rows[:, :2]) + 0.25
    upright = np.concatenate([start, start + size], axis=1)
    rows = np.where(proper | (rng.random((len(rows), 1)) < 0.8), upright, rows)
    for i in draw(_places(len(rows))):
        corner = draw(quarters(low, high)), draw(quarters(low, high))
        side = quarters(0.25, 60) if proper else st.just(0.0) | quarters(-60, 60)
        rows[i] = [*corner, corner[0] + draw(side), corner[1] + draw(side)]
    for i in draw(_places(len(rows))) if unusable else []:
        rows[i, draw(st.integers(0, 3))] = draw(broken)
    return rows


@st.composite
def number_rows(draw, rows, columns, largest=10.0, extremes=(), unusable=False):
    """(rows, columns) numbers on quarters within ±``largest``, float64.

    Args:
        extremes: values that some entries have instead.
        unusable: some entries are NaN or infinite.
    """
    rng = np.random.default_rng(draw(seeds))
    values = rng.integers(-4 * largest, 4 * largest, (rows, columns), endpoint=True) / 4
    chosen = [quarters(-largest, largest)] + [st.sampled_from(extremes)] * bool(extremes)
    for i in draw(_places(rows)):
        for k in range(columns):
            values[i, k] = draw(st.one_of(chosen))
    for i in draw(_places(rows)) if unusable else []:
        values[i, draw(st.integers(0, columns - 1))] = draw(broken)
    return values


@st.composite
def heads(draw, unusable=()):
    """Logits of both heads (R, K+1), float64, with labels (R,) in [0, K], K from 1. At times the
    two heads say the same.

    Args:
        unusable: of "student" and "teacher", those that have NaN and infinite logits too.
    """
    regions, classes = draw(counts), draw(st.sampled_from([1, 2, 3, 20]))

    def head(name):
        return number_rows(regions, classes + 1, extremes=(1e4, -1e4), unusable=name in unusable)

    student = draw(head("student"))
    teacher = student.copy() if draw(st.integers(0, 7)) == 0 else draw(head("teacher"))
    labels = np.random.default_rng(draw(seeds)).integers(0, classes, regions, endpoint=True)
    return student, teacher, labels


def gates(regions: int) -> st.SearchStrategy[np.ndarray]:
    """(R,) bool."""
    return npst.arrays(bool, regions)


def float32(rows: np.ndarray) -> torch.Tensor:
    """As a tensor."""
    return torch.from_numpy(np.asarray(rows, dtype=np.float32))


def finite_rows(rows: np.ndarray) -> np.ndarray:
    """(R,) bool."""
    return np.isfinite(rows).all(axis=1)


def _places(rows: int):
    """A few of the rows."""
    if not rows:
        return st.just([])
    return st.lists(st.integers(0, rows - 1), max_size=3, unique=True)
