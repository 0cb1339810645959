"""Detections are judged as COCO judges them."""

import numpy as np
import pytest
from picture.judging import judge_detections

A, B = [10, 10, 50, 50], [60, 60, 100, 110]


@pytest.mark.parametrize(
    ("detections", "correct", "missed"),
    [
        ([(A, 0.9, 3), (B, 0.8, 7)], [True, True], [False, False]),
        ([(A, 0.9, 7)], [False], [True, True]),  # the box of one, the class of the other
        ([([10, 10, 50, 31], 0.9, 3)], [True], [False, True]),  # IoU 0.525
        ([([10, 10, 50, 29], 0.9, 3)], [False], [True, True]),  # IoU 0.475
        ([([10, 10, 50, 30], 0.9, 3)], [True], [False, True]),  # IoU 0.5 exactly
        ([(A, 0.6, 3), (A, 0.9, 3)], [False, True], [False, True]),  # the second by score is wrong
        ([], [], [True, True]),
    ],
)
def test_judge_detections(detections, correct, missed):
    boxes, scores, classes = ([d[i] for d in detections] for i in range(3))
    verdict = judge_detections([A, B], [3, 7], boxes, scores, classes)
    assert [list(values) for values in verdict] == [correct, missed]


def test_a_detection_takes_the_free_object_that_it_overlaps_most():
    near, far = [0, 0, 10, 10], [2, 0, 12, 10]
    boxes = [[1.5, 0, 11.5, 10], [0, 0, 10, 10]]
    correct, missed = judge_detections([near, far], [1, 1], boxes, [0.9, 0.8], [1, 1])
    assert correct.all()
    assert not missed.any()


def test_without_ground_truth_every_detection_is_wrong():
    correct, missed = judge_detections(np.zeros((0, 4)), [], [A], [0.9], [3])
    assert list(correct) == [False]
    assert len(missed) == 0
