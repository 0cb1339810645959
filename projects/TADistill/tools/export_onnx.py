"""A trained student as one ONNX graph, checked against the student by onnxruntime.

    python export_onnx.py RUN_DIR/student_final.yaml IMAGE [IMAGE ...]
        [--weights RUN_DIR/student_final.pth] [--output RUN_DIR/student_final.onnx]

IMAGE: some of those that it is for; resized and upside down, each is compared. Any
GeneralizedRCNN can be exported so, a teacher too. Needs pip install -e ".[onnx]".
"""

import argparse
import os
import sys
from collections.abc import Sequence

import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.data import transforms as T
from detectron2.data.detection_utils import read_image
from torch import Tensor, nn

from tadistill import add_tadistill_config
from tadistill.engine.evaluation import load_student
from tadistill.errors import ConfigError
from tadistill.export.onnx_graph import OUTPUTS, Detections, detect, difference, export_onnx
from tadistill.files import written_whole
from tadistill.merging import merge_file

# What other orders of summation come to, with room to spare.
PIXELS, SCORE = 0.01, 1e-3


def main(args: argparse.Namespace) -> None:
    """Exports, compares, and only then writes the file."""
    stem = os.path.splitext(args.config)[0]
    output = args.output or f"{stem}.onnx"
    if os.path.exists(output):
        raise ConfigError(f"--output {output} exists already; choose another name")
    if not os.path.isdir(os.path.dirname(output) or "."):
        raise ConfigError(f"--output {output}: there is no such folder")
    onnxruntime = _onnxruntime()
    cfg = get_cfg()
    add_tadistill_config(cfg)
    merge_file(cfg, args.config, "CONFIG")
    cfg.MODEL.DEVICE = "cpu"
    if cfg.MODEL.MASK_ON or cfg.MODEL.KEYPOINT_ON:
        raise ConfigError("MODEL.MASK_ON or KEYPOINT_ON is True; only a box head is exported here")
    images = [image for path in args.images for image in test_images(cfg, path)]
    source = "--weights" if args.weights else "MODEL.WEIGHTS"
    model = load_student(cfg, args.weights or cfg.MODEL.WEIGHTS, source).eval()

    graph = export_onnx(model, images[0])
    compare(model, graph, images, onnxruntime)
    with written_whole(output) as file:
        file.write(graph)
    print(
        f"{output}: image (3, H, W) float32, 0 to 255, {cfg.INPUT.FORMAT}, the shorter side "
        f"{cfg.INPUT.MIN_SIZE_TEST} and the longer at most {cfg.INPUT.MAX_SIZE_TEST} -> "
        + ", ".join(OUTPUTS)
    )


def compare(model: nn.Module, graph: bytes, images: Sequence[Tensor], onnxruntime) -> None:
    """Prints how far graph and model are apart on each (3, H, W) image.

    Raises:
        ConfigError: if rounding does not explain it, or nothing was detected on any image.
    """
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    compared = 0
    for image in images:
        try:
            outputs = session.run(list(OUTPUTS), {"image": image.numpy()})
        except Exception as error:  # onnxruntime's own kinds
            raise ConfigError(
                f"the graph cannot take an image of {tuple(image.shape[1:])}: the backbone has "
                f"another size built in ({error}). Nothing was written"
            ) from error
        of_graph = Detections(*map(torch.from_numpy, outputs))
        ours = detect(model, image)
        box, score = difference(ours, of_graph)
        size = "{} x {}".format(*image.shape[1:])
        if not (box < PIXELS and score < SCORE):
            raise ConfigError(
                f"on an image of {size} the graph says otherwise than the model: "
                f"{len(of_graph.scores)} detections and {len(ours.scores)}, up to {box:.2g} "
                f"pixels and {score:.2g} of a score apart. Nothing was written"
            )
        print(
            f"{size}: {len(ours.scores)} detections, at most {box:.1g} pixels and {score:.1g} "
            "of a score apart"
        )
        compared += len(ours.scores)
    if compared == 0:
        raise ConfigError(
            "nothing was detected on any IMAGE, so there was nothing to compare: name images with "
            "objects in them. Nothing was written"
        )


def test_images(cfg: CfgNode, path: str) -> Sequence[Tensor]:
    """An image as Detectron2 shows it to the model in a test, (3, H, W); and of another size and
    shape, so that no size can have been built into the graph: upside down, half as high.
    """
    try:
        image = read_image(path, cfg.INPUT.FORMAT)
    except OSError as error:
        raise ConfigError(f"IMAGE {path} cannot be read: {error}") from error
    resize = T.ResizeShortestEdge(
        [cfg.INPUT.MIN_SIZE_TEST] * 2, cfg.INPUT.MAX_SIZE_TEST
    ).get_transform(image)
    image = torch.as_tensor(resize.apply_image(image).astype("float32").transpose(2, 0, 1))
    half = torch.nn.functional.interpolate(image[None], scale_factor=(0.5, 1), mode="area")[0]
    return image.contiguous(), half.flip(1).contiguous()


def _onnxruntime():
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as error:
        raise ConfigError(f'{error}: pip install -e ".[onnx]"') from error
    return onnxruntime


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("config", metavar="CONFIG", help="student_final.yaml")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="to compare the two on")
    parser.add_argument("--weights", help="MODEL.WEIGHTS of the config if left out")
    parser.add_argument("--output", help="beside the config if left out")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        main(parsed())
    except (ConfigError, OSError) as error:  # of a full disk, say
        sys.exit(f"error: {error}")
