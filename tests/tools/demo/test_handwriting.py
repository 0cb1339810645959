"""The demo's images: who wrote which, tight boxes, digits that can be seen."""

import numpy as np
import pytest
from handwriting.palettes import PALETTES, rgb
from handwriting.placing import HEIGHTS, MIN_VISIBLE, place_digits
from handwriting.strokes import SAMPLES, SPLITS, load_strokes, render_digit


def test_train_and_val_share_no_sample_and_leave_a_writers_gap():
    train, val = SAMPLES["train"], SAMPLES["val"]
    strokes, classes = load_strokes()
    assert val.stop == len(strokes) == len(classes)
    assert val.start - train.stop > len(strokes) / 13  # the bundle has 13 writers


@pytest.mark.parametrize("split", SPLITS)
def test_placed_digits_have_tight_boxes_and_stay_visible(split):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        placed = place_digits(rng, 128, 140, SAMPLES[split])
        cover = np.zeros((128, 140))
        for mask, (x0, y0, x1, y1), _ in reversed(placed):
            rows, columns = np.nonzero(mask > 0.35)
            assert (x0, y0) == (columns.min(), rows.min())
            assert (x1, y1) == (columns.max() + 1, rows.max() + 1)
            assert (mask * (1 - cover)).sum() >= MIN_VISIBLE * mask.sum() * (1 - 1e-5)
            cover = np.maximum(cover, mask)


def test_every_sample_renders_at_the_smallest_size():
    for strokes in load_strokes()[0]:
        mask = render_digit(strokes, HEIGHTS[0], 0.5, 0.3, 0.8, 0.42)
        assert mask[1:-1, 1:-1].max() > 0.35
        assert mask.min() >= 0
        assert mask.max() <= 1


def test_ink_stands_out_from_the_paper():
    luma = np.array([0.299, 0.587, 0.114])
    for palette in PALETTES:
        for ink in palette.inks:
            for paper in palette.papers:
                assert abs(luma @ rgb(ink) - luma @ rgb(paper)) > 0.25
