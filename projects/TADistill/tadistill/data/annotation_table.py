"""The annotations of a COCO file as columns, with what can be odd about each."""

from collections.abc import Iterable, Mapping, Sequence
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
        encoded: (A,) bool. With a segmentation of run lengths (RLE).
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
    encoded: np.ndarray
    degenerate: np.ndarray
    known_category: np.ndarray
    num_images: int

    @classmethod
    def of(cls, content: Mapping) -> "AnnotationTable":
        images, annotations = content["images"], content["annotations"]
        number = {image["id"]: n for n, image in enumerate(images)}
        category_ids = {category["id"] for category in content["categories"]}
        segmentations = [a.get("segmentation") for a in annotations]
        image = np.array([number.get(a["image_id"], -1) for a in annotations], dtype=int)
        sizes = [(i["width"], i["height"]) for i in images] + [(np.nan, np.nan)]
        return cls(
            ids=[a["id"] for a in annotations],
            category_ids=[a["category_id"] for a in annotations],
            boxes=np.array([a["bbox"] for a in annotations], dtype=np.float64).reshape(-1, 4),
            images=image,
            image_sizes=np.array(sizes, dtype=np.float64)[image],
            crowd=_flags(a.get("iscrowd", 0) != 0 for a in annotations),
            outlined=_flags(map(bool, segmentations)),
            flat=_flags(map(_is_flat, segmentations)),
            encoded=_flags(isinstance(segmentation, dict) for segmentation in segmentations),
            degenerate=_flags(map(_is_degenerate, segmentations)),
            known_category=_flags(a["category_id"] in category_ids for a in annotations),
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
        return _flags(id_ in (0, "0") for id_ in self.ids)

    @cached_property
    def can_be_found(self) -> np.ndarray:
        return ~self.lost & ~self.crowd

    @cached_property
    def can_be_trained_on(self) -> np.ndarray:
        return self.can_be_found & ~self.degenerate

    @cached_property
    def annotated_images(self) -> np.ndarray:
        """Numbers of the images with more than crowds, which Detectron2 takes for nothing."""
        return np.unique(self.images[~self.orphaned & ~self.crowd])

    @property
    def num_images_without(self) -> int:
        return self.num_images - len(self.annotated_images)

    @cached_property
    def images_trained_on(self) -> np.ndarray:
        """Numbers of the images that Detectron2 keeps, unless it is to keep all."""
        return np.unique(self.images[~self.orphaned & ~self.crowd & ~self.degenerate])

    @property
    def _corners(self) -> tuple[np.ndarray, np.ndarray]:
        start = self.boxes[:, :2]
        return start, start + self.boxes[:, 2:]

    def listed(self, which: np.ndarray) -> str:
        """How many, and the first of them."""
        ids = [self.ids[n] for n in np.flatnonzero(which)[:5]]
        return f"{which.sum()} annotations (id {first_few(ids)})"


def _flags(values: Iterable[bool]) -> np.ndarray:
    return np.fromiter(values, dtype=bool)


def _is_flat(segmentation: object) -> bool:
    return isinstance(segmentation, list) and any(
        isinstance(part, (int, float)) for part in segmentation
    )


def _is_degenerate(segmentation: object) -> bool:
    if not isinstance(segmentation, list) or not segmentation:
        return False
    lengths = [len(polygon) for polygon in segmentation if isinstance(polygon, list)]
    return not any(length % 2 == 0 and length >= 6 for length in lengths)
