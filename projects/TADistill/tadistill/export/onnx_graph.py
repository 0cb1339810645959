"""A detector as one ONNX graph, for runtimes without torch: traced by Detectron2's adapter,
written by torch's exporter.
"""

import inspect
import io
import warnings
from typing import NamedTuple

import torch
from detectron2.export import TracingAdapter
from torch import Tensor, nn

OPSET = 18  # 16 is the first whose RoiAlign is Detectron2's (ROIAlignV2)
OUTPUTS = ("pred_boxes", "pred_classes", "scores")


def export_onnx(model: nn.Module, image: Tensor) -> bytes:
    """A detector's inference, from pixels to detections, as a graph: what an .onnx file holds.

    Its input ``image`` is a (3, H, W) float32 image of 0 to 255 in the channel order of
    ``INPUT.FORMAT``, of any H and W, resized before as ``INPUT.MIN_SIZE_TEST`` and
    ``MAX_SIZE_TEST`` say; normalisation and padding are part of the graph. Its outputs are
    Detectron2's, best score first: ``pred_boxes`` (N, 4), XYXY in pixels of that image,
    ``pred_classes`` (N,) int64 and ``scores`` (N,) float32.

    Args:
        model: a ``GeneralizedRCNN`` in eval mode, on the CPU, with a box head alone.
        image: any such image.
    """
    # The exporter that traces: the newer one cannot follow control flow that depends on data,
    # of which detectors are full. Torch before 2.5 has no other.
    choice = {"dynamo": False} if _has_newer_exporter() else {}
    graph = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        # A trace warns at each size that Python reads: what comes of that, a comparison shows.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            TracingAdapter(model, [{"image": image}], _detect).eval(),
            (image,),
            graph,
            opset_version=OPSET,
            input_names=["image"],
            output_names=list(OUTPUTS),
            dynamic_axes={"image": {1: "height", 2: "width"}}
            | {name: {0: "detections"} for name in OUTPUTS},
            **choice,
        )
    return graph.getvalue()


class Detections(NamedTuple):
    """Of one image: (N, 4), (N,) and (N,), as :func:`export_onnx` has them."""

    pred_boxes: Tensor
    pred_classes: Tensor
    scores: Tensor


class Difference(NamedTuple):
    """Between a model's detections of an image and its graph's: the largest of a coordinate, in
    pixels, and of a score. Infinite if they are not the same number of the same classes.
    """

    box: float
    score: float


@torch.no_grad()
def detect(model: nn.Module, image: Tensor) -> Detections:
    """What the model itself says."""
    return Detections(**_detect(model, [{"image": image}]))


def difference(ours: Detections, graphs: Detections) -> Difference:
    """Each of one side is compared with the nearest of the same class of the other side: which of
    two equal scores comes first is a matter of rounding.
    """
    if len(ours.scores) != len(graphs.scores):
        return Difference(float("inf"), float("inf"))
    if len(ours.scores) == 0:
        return Difference(0.0, 0.0)
    apart = (ours.pred_boxes[:, None] - graphs.pred_boxes).abs().amax(dim=-1)
    apart[ours.pred_classes[:, None] != graphs.pred_classes] = float("inf")
    box, nearest = apart.min(dim=1)
    distinct = len(nearest.unique()) == len(nearest)
    score = (ours.scores - graphs.scores[nearest]).abs()
    return Difference(box.max().item() if distinct else float("inf"), score.max().item())


def _detect(model: nn.Module, inputs: list[dict]) -> dict[str, Tensor]:
    (instances,) = model.inference(inputs, do_postprocess=False)
    return {
        "pred_boxes": instances.pred_boxes.tensor,
        "pred_classes": instances.pred_classes,
        "scores": instances.scores,
    }


def _has_newer_exporter() -> bool:
    return "dynamo" in inspect.signature(torch.onnx.export).parameters
