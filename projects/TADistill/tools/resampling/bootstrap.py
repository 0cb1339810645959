"""How much better one detector is than another, and how sure that is."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev

import numpy as np

from .detector import Detector

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """AP of the second over the first, over all classes or of one.

    Attributes:
        mean: over the pairs, on the images as they are.
        sd_over_images: of this mean, when the images are drawn anew.
        low: the mean is above it in all but 2.5 % of the draws.
        high: and below it likewise.
        ahead: in which share of the draws the second is ahead.
    """

    mean: float
    sd_over_images: float
    low: float
    high: float
    ahead: float


@dataclass(frozen=True)
class PairedBootstrap:
    """Of pairs of detectors, as trainings with the same seed.

    Attributes:
        images: how many.
        aps: (first, second) of each pair, on the images as they are.
        draws: how often the images were drawn anew.
        overall: of COCO's AP.
        by_class: of each class that has a box.
    """

    images: int
    aps: list[tuple[float, float]]
    draws: int
    overall: Difference
    by_class: dict[str, Difference]

    @property
    def by_pair(self) -> list[float]:
        """What the second has over the first."""
        return [second - first for first, second in self.aps]

    @property
    def sd_over_pairs(self) -> float | None:
        """The sample standard deviation; None of a single pair."""
        return stdev(self.by_pair) if len(self.aps) > 1 else None

    @property
    def standard_error(self) -> float | None:
        """Of the mean, by images and pairs: sqrt(sd_over_images² + sd_over_pairs² / pairs)."""
        if self.sd_over_pairs is None:
            return None
        return (self.overall.sd_over_images**2 + self.sd_over_pairs**2 / len(self.aps)) ** 0.5

    def as_dict(self) -> dict:
        """For a JSON: what it is made of, and what follows from that."""
        return asdict(self) | {
            "by_pair": self.by_pair,
            "sd_over_pairs": self.sd_over_pairs,
            "standard_error": self.standard_error,
        }


def paired_bootstrap(
    pairs: Sequence[tuple[Detector, Detector]],
    draws: int,
    seed: int = 0,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> PairedBootstrap:
    """In each draw all detectors are scored on the same images.

    Args:
        pairs: at least one, all of the same images; a detector may be in several.
        draws: how often as many images as there are are drawn from them, with replacement.
        seed: of the draws.
        progress: wraps the draws, such as ``tqdm``.
    """
    rng = np.random.default_rng(seed)
    images = pairs[0][0].images
    aps = _class_aps(pairs, np.arange(images))
    drawn = np.stack(
        [
            _differences(_class_aps(pairs, rng.integers(images, size=images)))
            for _ in progress(range(draws))
        ]
    )
    first, second = (np.nanmean(side, 1).tolist() for side in aps)
    overall, *by_class = map(_difference, _differences(aps), drawn.T)
    classes = zip(pairs[0][0].classes, by_class, strict=True)
    return PairedBootstrap(
        images,
        list(zip(first, second, strict=True)),
        draws,
        overall,
        {name: of_class for name, of_class in classes if of_class is not None},
    )


def _class_aps(pairs: Sequence[tuple[Detector, Detector]], images: np.ndarray) -> np.ndarray:
    """(2, P, C): of the first and the second of all pairs. One in several pairs is scored once."""
    scored = {detector: detector.class_aps(images) for pair in pairs for detector in pair}
    return np.array([[scored[pair[side]] for pair in pairs] for side in (0, 1)])


def _differences(aps: np.ndarray) -> np.ndarray:
    """(1 + C,): second - first over the pairs, of COCO's AP and of each class."""
    by_class = (aps[1] - aps[0]).mean(0)
    return np.concatenate([[np.nanmean(by_class)], by_class])


def _difference(value: float, drawn: np.ndarray) -> Difference | None:
    """None of a class without a box. Draws in which it has none are left out."""
    drawn = drawn[~np.isnan(drawn)]
    if np.isnan(value) or len(drawn) < 2:
        return None
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [outside, 1 - outside]).tolist()
    return Difference(
        float(value), stdev(drawn.tolist()), low, high, mean((drawn > 0).astype(float).tolist())
    )
