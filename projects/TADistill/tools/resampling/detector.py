"""COCO's AP of one detector on images drawn from those that it was evaluated on."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tadistill.data.coco_json import check_scorable
from tadistill.errors import ConfigError

DETECTIONS = 100  # an image at most, as COCO's AP counts them


class Detector:
    """What a detector found on some images, matched to their boxes once.

    Attributes:
        classes: their names, by the columns of :meth:`class_aps`.
        images: how many.
    """

    def __init__(self, annotations: COCO, detections: Path):
        """
        Args:
            annotations: of all images.
            detections: a JSON as Detectron2's COCOEvaluator writes it.

        Raises:
            ConfigError: naming the file, if it cannot be read or is of other images or classes.
        """
        found = _read_detections(annotations, detections)
        with _silence():
            self._evaluation = COCOeval(annotations, annotations.loadRes(found), "bbox")
            parameters = self._evaluation.params
            parameters.areaRng, parameters.areaRngLbl = [[0, 1e10]], ["all"]
            parameters.maxDets = [DETECTIONS]
            self._evaluation.evaluate()
        # By class, then by image: a list of lists of what pycocotools matched.
        self.images = len(parameters.imgIds)
        matched = self._evaluation.evalImgs
        starts = range(0, len(matched), self.images)
        self._matched = [matched[start : start + self.images] for start in starts]
        self.classes = [each["name"] for each in annotations.loadCats(parameters.catIds)]

    def class_aps(self, images: np.ndarray) -> np.ndarray:
        """AP by class, between 0 and 100, on a list of images; their mean is COCO's AP.

        Args:
            images: (N,) indices, N being ``self.images``; one may be there several times.

        Returns:
            (C,); nan for a class of which these images have no box.
        """
        self._evaluation.evalImgs = [of_class[i] for of_class in self._matched for i in images]
        with _silence():
            self._evaluation.accumulate()
        precision = self._evaluation.eval["precision"][:, :, :, 0, 0]  # (IoU, recall, C), -1: none
        return np.where(precision < 0, np.nan, 100 * precision).mean((0, 1))


def read_annotations(path: Path) -> COCO:
    """Of all images.

    Raises:
        ConfigError: naming the file, if it is no COCO data set or has no image.
    """
    try:
        with _silence():
            annotations = COCO(str(path))
        boxes = annotations.loadAnns(annotations.getAnnIds())
        if not annotations.getImgIds() or not any(not box.get("iscrowd") for box in boxes):
            raise ValueError("it has no images, or no boxes but crowds'")
        if not all("bbox" in box for box in boxes):
            raise ValueError("not all annotations have 'bbox'")
        check_scorable("its annotations", {"annotations": boxes})
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise ConfigError(f"{path} is no COCO data set: {_told(error)}") from error
    return annotations


def _read_detections(annotations: COCO, path: Path) -> list[dict]:
    try:
        found = json.loads(path.read_text())
        if not isinstance(found, list) or not found:
            raise ValueError("it is no list of detections, or an empty one")
        for key, known in (
            ("image_id", annotations.getImgIds()),
            ("category_id", annotations.getCatIds()),
        ):
            unknown = sorted({each[key] for each in found} - set(known))
            if unknown:
                raise ValueError(f"the annotations have no {key} {unknown[0]}")
        if not all(len(each["bbox"]) == 4 for each in found):
            raise ValueError("not all detections have a bbox of four numbers")
        numbers = np.array([[*each["bbox"], each["score"]] for each in found], dtype=np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError("not all detections have a bbox and a score of finite numbers")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} has no detections of these images: {_told(error)}") from error
    return found


def _told(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__


def _silence():
    """pycocotools prints each step."""
    return redirect_stdout(io.StringIO())
