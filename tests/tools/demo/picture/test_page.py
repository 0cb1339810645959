"""The demo's picture: boxes have their verdict's colour, and the page the README's width."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from picture.detections import CORRECT, MISSED, WRONG, draw_detections
from picture.page import WIDTH, draw_results
from picture.palette import MODELS
from PIL import Image

A, B = [10, 10, 50, 50], [60, 60, 100, 110]


def make_example(detections):
    """An image with a 3 at A and a 7 at B, and the same ``detections`` of every model."""
    boxes, scores, classes = (np.array([d[i] for d in detections]) for i in range(3))
    image = np.random.default_rng(0).integers(0, 255, (128, 150, 3), dtype=np.uint8)
    found = {model: (boxes.reshape(-1, 4), scores, classes) for model in MODELS}
    return {"image": image, "gt": (np.array([A, B]), np.array([3, 7])), "detections": found}


def edge_colours(example, score_threshold=0.5):
    axes = Figure().add_axes((0, 0, 1, 1))
    draw_detections(axes, example, "baseline", list("0123456789"), score_threshold)
    return [to_hex(patch.get_edgecolor()).upper() for patch in axes.patches]


def test_boxes_have_the_colour_of_their_verdict():
    assert edge_colours(make_example([(A, 0.9, 3), (B, 0.8, 7)])) == [CORRECT] * 2
    right_and_wrong = edge_colours(make_example([(A, 0.9, 3), (B, 0.8, 1)]))
    assert sorted(right_and_wrong) == sorted([CORRECT, WRONG, MISSED])


def test_low_scores_are_not_drawn():
    example = make_example([(A, 0.9, 3), (B, 0.4, 7)])
    assert sorted(edge_colours(example)) == sorted([CORRECT, MISSED])
    assert edge_colours(example, score_threshold=0.3) == [CORRECT] * 2


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
    draw_results(path, **{**inputs, "images": inputs["images"][:rows]})
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.width == WIDTH
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
        draw_results(tmp_path / "results.png", **{**inputs, **change})
    assert list(tmp_path.iterdir()) == []
