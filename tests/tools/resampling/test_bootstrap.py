"""The paired bootstrap over images."""

import numpy as np
import pytest
from resampling.bootstrap import paired_bootstrap
from resampling.detector import Detector, read_annotations


@pytest.fixture
def detectors(files):
    annotations = read_annotations(files[0])
    return [Detector(annotations, path) for path in files[1:]]


def test_a_detector_is_no_better_than_itself(detectors):
    poor, _ = detectors
    result = paired_bootstrap([(poor, poor)], draws=20)
    assert (result.overall.mean, result.overall.sd_over_images, result.overall.ahead) == (0, 0, 0)
    assert result.sd_over_pairs is None
    assert result.standard_error is None


def test_figures_follow_from_the_draws(detectors):
    """The loop that it stands for, written out."""
    poor, good = detectors
    result = paired_bootstrap([(poor, good), (good, good)], draws=50, seed=3)
    rng = np.random.default_rng(3)
    drawn = []
    for _ in range(50):
        images = rng.integers(8, size=8)
        first, second = (np.nanmean(each.class_aps(images)) for each in detectors)
        drawn.append((second - first) / 2)
    assert result.overall.sd_over_images == pytest.approx(np.std(drawn, ddof=1))
    assert result.overall.low == pytest.approx(np.quantile(drawn, 0.025))
    assert result.overall.high == pytest.approx(np.quantile(drawn, 0.975))
    assert result.overall.ahead == np.mean(np.array(drawn) > 0)
    first, second = (np.nanmean(each.class_aps(np.arange(8))) for each in detectors)
    assert result.aps == [(first, second), (second, second)]
    assert result.overall.mean == pytest.approx((second - first) / 2)
    assert result.sd_over_pairs == pytest.approx(np.std([second - first, 0], ddof=1))
    assert result.standard_error == pytest.approx(
        np.sqrt(result.overall.sd_over_images**2 + result.sd_over_pairs**2 / 2)
    )


def test_a_better_detector_is_ahead_and_the_other_way_round_behind(detectors):
    poor, good = detectors
    ahead = paired_bootstrap([(poor, good)], draws=50).overall
    behind = paired_bootstrap([(good, poor)], draws=50).overall
    assert ahead.low > 0
    assert ahead.ahead == 1
    assert (behind.mean, behind.low, behind.ahead) == (-ahead.mean, -ahead.high, 0)


def test_classes_are_compared_too(detectors):
    poor, good = detectors
    result = paired_bootstrap([(poor, good)], draws=20)
    assert list(result.by_class) == ["class 0", "class 1", "class 2"]
    mean = np.mean([of_class.mean for of_class in result.by_class.values()])
    assert result.overall.mean == pytest.approx(mean)


def test_the_same_seed_draws_the_same_images(detectors):
    poor, good = detectors
    once, again, other = (paired_bootstrap([(poor, good)], 20, seed) for seed in (1, 1, 2))
    assert once == again
    assert once != other
