"""Checks in some seconds that the Detectron2 of this environment works, on the CPU.

    python check_detectron2.py

Reads images, trains a small Faster R-CNN for one step, saves and loads it, detects, scores with
COCO's metric and draws. Prints which Detectron2 that was, or ends with the error it met.
"""

import argparse
import contextlib
import io
import logging
import sys
import tempfile
import warnings
from pathlib import Path

IMAGE_SIZE = 64  # pixels
NUM_IMAGES = 2


def small_config(output_dir: Path):
    """Returns the config of the model zoo's R50-FPN Faster R-CNN, with few channels."""
    from detectron2 import model_zoo

    cfg = model_zoo.get_config("COCO-Detection/faster_rcnn_R_50_FPN_1x.yaml")
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.WEIGHTS = ""
    cfg.MODEL.BACKBONE.FREEZE_AT = 0
    cfg.MODEL.RESNETS.NORM = "BN"  # frozen statistics are of no use without ImageNet weights
    cfg.MODEL.RESNETS.STEM_OUT_CHANNELS = 8
    cfg.MODEL.RESNETS.RES2_OUT_CHANNELS = 8
    cfg.MODEL.FPN.OUT_CHANNELS = 16
    cfg.MODEL.ROI_BOX_HEAD.FC_DIM = 32
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = 1
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0  # keep what an untrained model finds
    cfg.INPUT.MIN_SIZE_TRAIN = (IMAGE_SIZE,)
    cfg.INPUT.MIN_SIZE_TEST = IMAGE_SIZE
    cfg.SOLVER.BASE_LR = 1e-4
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.OUTPUT_DIR = str(output_dir)
    return cfg


def register_images(name: str, folder: Path) -> None:
    """Writes images of one bright box each into ``folder`` and registers them as ``name``."""
    import numpy as np
    from detectron2.data import DatasetCatalog, MetadataCatalog
    from detectron2.structures import BoxMode
    from PIL import Image

    records = []
    for image_id in range(NUM_IMAGES):
        left, top, side = 8 + 8 * image_id, 12, 32
        pixels = np.full((IMAGE_SIZE, IMAGE_SIZE, 3), 40, dtype=np.uint8)
        pixels[top : top + side, left : left + side] = 220
        path = folder / f"{image_id}.png"
        Image.fromarray(pixels).save(path)
        box = {
            "bbox": [left, top, left + side, top + side],
            "bbox_mode": BoxMode.XYXY_ABS,
            "category_id": 0,
        }
        records.append(
            {
                "file_name": str(path),
                "image_id": image_id,
                "height": IMAGE_SIZE,
                "width": IMAGE_SIZE,
                "annotations": [box],
            }
        )
    DatasetCatalog.register(name, lambda: records)
    MetadataCatalog.get(name).set(thing_classes=["box"])


def train_one_step(cfg, dataset: str):
    """Returns a model after one step of SGD on ``dataset``; raises if a loss is not finite."""
    import torch
    from detectron2.data import (
        DatasetMapper,
        build_detection_train_loader,
        get_detection_dataset_dicts,
    )
    from detectron2.modeling import build_model
    from detectron2.solver import build_optimizer
    from detectron2.utils.events import EventStorage

    model = build_model(cfg)
    optimizer = build_optimizer(cfg, model)
    loader = build_detection_train_loader(
        get_detection_dataset_dicts([dataset]),
        mapper=DatasetMapper(cfg, is_train=True),
        total_batch_size=NUM_IMAGES,
    )
    with EventStorage():
        losses = model(next(iter(loader)))
        total = sum(losses.values())
        total.backward()
        optimizer.step()
    if not torch.isfinite(total):
        raise FloatingPointError(f"The training step gave a loss that is not finite: {losses}")
    return model


def detect_and_score(cfg, model, dataset: str) -> None:
    """Runs COCO's evaluation on what the model finds, and on the truth, which must score 100."""
    from detectron2.data import DatasetCatalog, build_detection_test_loader
    from detectron2.evaluation import COCOEvaluator, inference_on_dataset

    evaluator = COCOEvaluator(dataset, output_dir=cfg.OUTPUT_DIR)
    scores = inference_on_dataset(model, build_detection_test_loader(cfg, dataset), evaluator)
    if not scores["bbox"]["AP"] >= 0:  # NaN: nothing was found to be scored
        raise ArithmeticError("The model found nothing, not even with a score threshold of zero.")

    evaluator.reset()
    for record in DatasetCatalog.get(dataset):
        evaluator.process([record], [{"instances": as_detections(record)}])
    ap = evaluator.evaluate()["bbox"]["AP"]
    if abs(ap - 100) > 1e-6:
        raise ArithmeticError(f"COCOEvaluator gives the ground truth {ap} AP; it should be 100.")


def as_detections(record):
    """Returns the ground truth of one dataset record as if a model had found it."""
    import torch
    from detectron2.structures import Boxes, Instances

    detections = Instances((record["height"], record["width"]))
    detections.pred_boxes = Boxes(torch.tensor([a["bbox"] for a in record["annotations"]]))
    detections.scores = torch.ones(len(record["annotations"]))
    detections.pred_classes = torch.tensor([a["category_id"] for a in record["annotations"]])
    return detections


def save_and_load(cfg, model) -> None:
    """Writes a checkpoint and reads it back."""
    from detectron2.checkpoint import DetectionCheckpointer

    checkpointer = DetectionCheckpointer(model, cfg.OUTPUT_DIR)
    checkpointer.save("check", iteration=0)
    checkpointer.load(str(Path(cfg.OUTPUT_DIR) / "check.pth"))


def draw(dataset: str) -> None:
    """Draws the ground truth of one image."""
    from detectron2.data import DatasetCatalog, MetadataCatalog
    from detectron2.data.detection_utils import read_image
    from detectron2.utils.visualizer import Visualizer

    record = DatasetCatalog.get(dataset)[0]
    image = read_image(record["file_name"], "RGB")
    Visualizer(image, MetadataCatalog.get(dataset)).draw_dataset_dict(record).get_image()


def describe() -> str:
    """Returns one line about the Detectron2, torch and NumPy that were checked."""
    import detectron2
    import numpy
    import torch

    try:
        from detectron2 import _C  # noqa: F401

        kind = "compiled"
    except ImportError:
        kind = "pure Python"
    return (
        f"Detectron2 {detectron2.__version__} ({kind}, {Path(detectron2.__file__).parent}), "
        f"torch {torch.__version__}, NumPy {numpy.__version__}, "
        f"Python {sys.version.split()[0]}"
    )


def main() -> None:
    """Runs all checks and prints what was checked."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with (
        tempfile.TemporaryDirectory(prefix="check-detectron2-") as temporary,
        contextlib.redirect_stdout(io.StringIO()),  # pycocotools prints its tables
    ):
        folder = Path(temporary)
        cfg = small_config(folder)
        register_images("check_detectron2", folder)
        model = train_one_step(cfg, "check_detectron2")
        save_and_load(cfg, model)
        detect_and_score(cfg, model, "check_detectron2")
        draw("check_detectron2")
    print(describe())


if __name__ == "__main__":
    main()
