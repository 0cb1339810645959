"""The annotations of a COCO file as columns, with what can be odd about each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import first_few

# In pixels: what reaches over the edge by less is rounding.
_ROUNDING = 0.1


@dataclass(frozen=True)
class AnnotationTable:
    """All A annotations of a file, as columns: COCO's 860,000 take a moment so.

    Attributes:
        ids, category_ids: A of them.
        boxes: (A, 4), XYWH, absolute pixels.
        images: (A,), the number of the annotation's image in the file's list; -1 if it is not
            there.
        image_sizes: (A, 2), width and height of that image; NaN if it is not there.
        crowd: (A,) bool: those that Detectron2 takes for one, which is all but 0.
        outlined: (A,) bool. With a segmentation.
        flat: (A,) bool. With a segmentation that is a list of numbers, which Detectron2 stops at.
        degenerate: (A,) bool. With a segmentation of polygons of which none has three points:
            Detectron2 leaves them out of training, with or without a mask head.
        known_category: (A,) bool.
        num_images: how many images there are.
    """

    ids: Sequence
    category_ids: Sequence
    boxes: np.ndarray
    images: np.ndarray
    image_sizes: np.ndarray
    crowd: np.ndarray
    outlined: np.ndarray
    flat: np.ndarray
    degenerate: np.ndarray
    known_category: np.ndarray
    num_images: int

    @classmethod
    def of(cls, content: Mapping) -> "AnnotationTable":
        images, annotations = content["images"], content["annotations"]
        number = {image["id"]: n for n, image in enumerate(images)}
        category_ids = {category["id"] for category in content["categories"]}
        image = np.array([number.get(a["image_id"], -1) for a in annotations])
        sizes = [(i["width"], i["height"]) for i in images] + [(np.nan, np.nan)]
        return cls(
            ids=[a["id"] for a in annotations],
            category_ids=[a["category_id"] for a in annotations],
            boxes=np.array([a["bbox"] for a in annotations], dtype=np.float64),
            images=image,
            image_sizes=np.array(sizes, dtype=np.float64)[image],
            crowd=np.array([a.get("iscrowd", 0) != 0 for a in annotations]),
            outlined=np.array([bool(a.get("segmentation")) for a in annotations]),
            flat=np.array([_is_flat(a.get("segmentation")) for a in annotations]),
            degenerate=np.array([_is_degenerate(a.get("segmentation")) for a in annotations]),
            known_category=np.array([a["category_id"] in category_ids for a in annotations]),
            num_images=len(images),
        )

    @cached_property
    def orphaned(self) -> np.ndarray:
        return self.images < 0

    @cached_property
    def finite(self) -> np.ndarray:
        return np.isfinite(self.boxes).all(axis=1)

    @cached_property
    def negative(self) -> np.ndarray:
        return (self.boxes[:, 2:] < 0).any(axis=1)

    @cached_property
    def empty(self) -> np.ndarray:
        return (self.boxes[:, 2:] == 0).any(axis=1)

    @cached_property
    def outside(self) -> np.ndarray:
        """Nothing of the box is in the image."""
        start, end = self._corners
        return ((start >= self.image_sizes) | (end <= 0)).any(axis=1) & ~self.empty

    @cached_property
    def over_the_edge(self) -> np.ndarray:
        """A part of the box is in the image."""
        start, end = self._corners
        over = (start < -_ROUNDING) | (end > self.image_sizes + _ROUNDING)
        return over.any(axis=1) & ~self.outside & ~self.empty

    @cached_property
    def lost(self) -> np.ndarray:
        """Neither trained on nor ever found."""
        return self.orphaned | self.empty | self.outside

    @cached_property
    def numbered_zero(self) -> np.ndarray:
        return np.array([id_ in (0, "0") for id_ in self.ids])

    @cached_property
    def can_be_found(self) -> np.ndarray:
        return ~self.lost & ~self.crowd

    @cached_property
    def can_be_trained_on(self) -> np.ndarray:
        return self.can_be_found & ~self.degenerate

    @property
    def num_images_without(self) -> int:
        """Images without annotations, or with crowds alone: Detectron2 takes them for the same."""
        return self.num_images - len(np.unique(self.images[~self.orphaned & ~self.crowd]))

    @property
    def _corners(self) -> tuple[np.ndarray, np.ndarray]:
        start = self.boxes[:, :2]
        return start, start + self.boxes[:, 2:]

    def listed(self, which: np.ndarray) -> str:
        """How many, and the first of them."""
        ids = [self.ids[n] for n in np.flatnonzero(which)[:5]]
        return f"{which.sum()} annotations (id {first_few(ids)})"


def _is_flat(segmentation: object) -> bool:
    return isinstance(segmentation, list) and any(
        isinstance(part, (int, float)) for part in segmentation
    )


def _is_degenerate(segmentation: object) -> bool:
    if not isinstance(segmentation, list) or not segmentation:
        return False
    lengths = [len(polygon) for polygon in segmentation if isinstance(polygon, list)]
    return not any(length % 2 == 0 and length >= 6 for length in lengths)
