"""Labels lie in the image, and on each other only where there is no room."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from picture.labels import draw_labels, label_size, place_labels
from picture.overlaps import overlap_areas

FRAME = (150, 128)


def covered(places):
    areas = overlap_areas(places, places)
    return areas.sum() - np.trace(areas)


def test_a_label_stands_above_its_box():
    assert place_labels([[10, 20, 50, 60]], [(30, 8)], FRAME).tolist() == [[10, 12, 40, 20]]


def test_without_room_above_it_stands_below():
    """And at the right, where the label before it is at the left."""
    box = [10, 0, 70, 60]
    places = place_labels([box] * 3, [(30, 8)] * 3, FRAME)
    assert places.tolist() == [[10, 0, 40, 8], [40, 0, 70, 8], [10, 60, 40, 68]]


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_labels_lie_in_the_image(seed, number):
    noise = np.random.default_rng(seed)
    corners = noise.uniform(0, 100, (number, 2))
    boxes = np.hstack([corners, corners + noise.uniform(1, 50, (number, 2))])
    places = place_labels(boxes, noise.uniform(4, 40, (number, 2)), FRAME)
    assert (places[:, :2] >= 0).all()
    assert (places[:, 2:] <= np.array(FRAME) + 1e-9).all()


@pytest.mark.parametrize("number", [2, 5, 8])
def test_as_many_labels_as_there_is_room_for_cover_nothing(number):
    places = place_labels([[60, 50, 100, 90]] * number, [(18, 6)] * number, FRAME)
    assert covered(places) == 0


def test_a_label_larger_than_the_image_starts_at_its_corner():
    assert place_labels([[60, 50, 100, 90]], [(300, 6)], FRAME)[0, 0] == 0


def test_labels_are_as_large_as_they_are_drawn():
    """What was reserved for a label is what its background takes, within two pixels."""
    figure = Figure(figsize=(4, 4), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 400), ylim=(400, 0), aspect="equal")
    draw_labels(axes, np.array([[100, 200, 180, 280]]), ["4  88%"], ["#009E73"])
    figure.draw_without_rendering()
    (text,) = axes.texts
    drawn = text.get_bbox_patch().get_window_extent()
    width, height = label_size("4  88%") * figure.dpi / 72
    assert drawn.x0 == pytest.approx(100, abs=2)
    assert drawn.x1 == pytest.approx(100 + width, abs=2)
    assert drawn.y0 == pytest.approx(400 - 200, abs=2)
    assert drawn.y1 == pytest.approx(400 - 200 + height, abs=2)
