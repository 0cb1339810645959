"""The demo's picture: detections are judged as COCO does, and drawn in the verdict's colour."""

import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "projects/TADistill/tools/demo"))
import pictures

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
    verdict = pictures.judge_detections([A, B], [3, 7], boxes, scores, classes)
    assert [list(values) for values in verdict] == [correct, missed]


def test_a_detection_takes_the_free_object_that_it_overlaps_most():
    near, far = [0, 0, 10, 10], [2, 0, 12, 10]
    boxes = [[1.5, 0, 11.5, 10], [0, 0, 10, 10]]
    correct, missed = pictures.judge_detections([near, far], [1, 1], boxes, [0.9, 0.8], [1, 1])
    assert correct.all()
    assert not missed.any()


def test_without_ground_truth_every_detection_is_wrong():
    correct, missed = pictures.judge_detections(np.zeros((0, 4)), [], [A], [0.9], [3])
    assert list(correct) == [False]
    assert len(missed) == 0


def test_mean_curve_uses_the_iterations_of_all_seeds():
    curves = {0: [(20, 4.0), (10, 1.0)], 1: [(10, 3.0), (20, 6.0), (30, 9.0)]}
    iterations, means = pictures.mean_curve(curves)
    assert list(iterations) == [10, 20]
    assert list(means) == [2.0, 5.0]


def test_running_mean_is_shorter_at_the_ends():
    assert list(pictures.running_mean([0, 3, 6, 0], 3)) == [1.5, 3, 3, 3]
    assert list(pictures.running_mean([1, 5], 1)) == [1, 5]


def test_spread_labels_keeps_order_and_distance():
    spread = pictures.spread_labels([0.50, 0.10, 0.51, 0.52], 0.1)
    assert list(np.argsort(spread)) == [1, 0, 2, 3]
    assert np.diff(np.sort(spread)).min() >= 0.1 - 1e-5
    assert spread[1] == pytest.approx(0.10)


def make_example(detections):
    """An image with a 3 at A and a 7 at B, and the same ``detections`` of every model."""
    boxes, scores, classes = (np.array([d[i] for d in detections]) for i in range(3))
    image = np.random.default_rng(0).integers(0, 255, (128, 150, 3), dtype=np.uint8)
    found = {model: (boxes.reshape(-1, 4), scores, classes) for model in pictures.MODELS}
    return {"image": image, "gt": (np.array([A, B]), np.array([3, 7])), "detections": found}


def edge_colours(example, score_threshold=0.5):
    axes = Figure().add_axes((0, 0, 1, 1))
    pictures.draw_detections(axes, example, "baseline", list("0123456789"), score_threshold)
    return [to_hex(patch.get_edgecolor()).upper() for patch in axes.patches]


def test_boxes_have_the_colour_of_their_verdict():
    assert edge_colours(make_example([(A, 0.9, 3), (B, 0.8, 7)])) == [pictures.CORRECT] * 2
    right_and_wrong = edge_colours(make_example([(A, 0.9, 3), (B, 0.8, 1)]))
    assert sorted(right_and_wrong) == sorted([pictures.CORRECT, pictures.WRONG, pictures.MISSED])


def test_low_scores_are_not_drawn():
    example = make_example([(A, 0.9, 3), (B, 0.4, 7)])
    assert sorted(edge_colours(example)) == sorted([pictures.CORRECT, pictures.MISSED])
    assert edge_colours(example, score_threshold=0.3) == [pictures.CORRECT] * 2


@pytest.fixture
def inputs():
    curve = [(100, 5.0), (200, 12.0), (300, 20.0)]
    return {
        "ap_curves": {"baseline": {0: curve, 1: curve[:2]}, "distilled": {0: curve}},
        "teacher_ap": 78.3,
        "gate_curves": {
            "gate_logit": [(iteration, 0.8) for iteration in range(0, 300, 20)],
            "decay": [(0, 1.0), (299, 0.0)],
        },
        "images": [make_example([(A, 0.9, 3), (B, 0.8, 1)]), make_example([])],
        "class_names": list("0123456789"),
    }


@pytest.mark.parametrize("rows", [1, 2])
def test_draw_results_writes_a_png_of_the_readmes_width(tmp_path, inputs, rows):
    path = tmp_path / "results.png"
    pictures.draw_results(path, **{**inputs, "images": inputs["images"][:rows]})
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.width == pictures.WIDTH
        pixels = np.asarray(picture.convert("RGB"))
    assert (pixels[:20] == 255).all()
    assert (pixels != 255).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ap_curves": {"student": {0: [(1, 2.0)]}}}, "ap_curves.*student"),
        ({"gate_curves": {}}, "gate_curves"),
        ({"images": []}, "images"),
    ],
)
def test_bad_input_is_named(tmp_path, inputs, change, message):
    with pytest.raises(ValueError, match=message):
        pictures.draw_results(tmp_path / "results.png", **{**inputs, **change})
    assert list(tmp_path.iterdir()) == []
