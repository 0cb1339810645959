"""A detector's ONNX graph says what the detector says, on images that it was not traced with."""

import math

import pytest
import torch
from tiny import build, liven, plain_cfg
from torch import tensor

from tadistill import add_tadistill_config
from tadistill.export.onnx_graph import (
    OUTPUTS,
    Detections,
    Difference,
    detect,
    difference,
    export_onnx,
)

onnxruntime = pytest.importorskip("onnxruntime")

TIMM = (
    *("MODEL.BACKBONE.NAME", "build_timm_fpn_backbone", "MODEL.TIMM.NAME", "tf_efficientnet_lite0"),
    *("MODEL.FPN.IN_FEATURES", ["stride4", "stride8", "stride16", "stride32"]),
)


def cfg_of(backbone):
    cfg = plain_cfg()
    add_tadistill_config(cfg)
    cfg.merge_from_list(list(TIMM) if backbone == "timm" else [])
    return cfg


def image(height, width, seed=0):
    return 255 * torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def session_of(graph):
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module", params=["resnet", "timm"])
def exported(request):
    """A model and a function that runs its graph."""
    model = liven(build(cfg_of(request.param))).eval()
    session = session_of(export_onnx(model, image(64, 80)))

    def run(x):
        return Detections(*map(torch.from_numpy, session.run(list(OUTPUTS), {"image": x.numpy()})))

    assert not model.training
    return model, run


@pytest.mark.parametrize("size", [(64, 80), (80, 64), (33, 97), (32, 32), (150, 41)])
def test_the_graph_detects_what_the_model_detects(exported, size):
    model, run = exported
    ours, of_graph = detect(model, image(*size, seed=1)), run(image(*size, seed=1))
    assert len(ours.scores) == 10
    assert of_graph.pred_classes.dtype == torch.int64
    assert list(of_graph.scores) == sorted(of_graph.scores, reverse=True)
    box, score = difference(ours, of_graph)
    assert box < 1e-3
    assert score < 1e-5


def test_an_image_in_which_nothing_is_found():
    model = liven(build(plain_cfg("MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.99))).eval()
    session = session_of(export_onnx(model, image(64, 80)))
    black = torch.zeros(3, 64, 96)
    outputs = session.run(list(OUTPUTS), {"image": black.numpy()})
    assert [output.shape for output in outputs] == [(0, 4), (0,), (0,)]
    assert len(detect(model, black).scores) == 0


TWO = Detections(tensor([[0.0, 0, 4, 4], [2.0, 2, 9, 9]]), torch.tensor([0, 1]), tensor([0.5, 0.5]))


def test_equal_scores_may_come_in_any_order():
    swapped = Detections(*(field.flip(0) for field in TWO))
    assert difference(TWO, swapped) == Difference(0.0, 0.0)


def test_the_largest_difference_counts():
    boxes, classes, scores = TWO
    moved = Detections(boxes + tensor([0.0, 0.25, 0, -0.5]), classes, scores - tensor([0, 0.125]))
    assert difference(TWO, moved) == Difference(0.5, 0.125)


@pytest.mark.parametrize(
    "other",
    [
        Detections(*(field[:1] for field in TWO)),
        Detections(*(field[:0] for field in TWO)),
        TWO._replace(pred_classes=torch.tensor([0, 2])),
        TWO._replace(  # one of ours is nearest to both
            pred_boxes=TWO.pred_boxes[[0, 0]], pred_classes=torch.tensor([0, 0])
        ),
    ],
)
def test_others_are_infinitely_far(other):
    assert difference(TWO, other).box == math.inf
    assert difference(other, TWO).box == math.inf


def test_none_on_both_sides():
    none = Detections(*(field[:0] for field in TWO))
    assert difference(none, none) == Difference(0.0, 0.0)
