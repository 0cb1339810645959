"""Options of Detectron2's own do in a distilled training what they do in any other."""

import json
from math import isfinite
from pathlib import Path

import pytest
import torch
from tiny import clone, student_cfg

from tadistill.data import register_coco
from tadistill.engine import TADistillTrainer

pytestmark = pytest.mark.usefixtures("registered_datasets")

HEAD, RPN, ROI = "MODEL.ROI_BOX_HEAD.", "MODEL.RPN.", "MODEL.ROI_HEADS."
OPTIONS = {
    "images of one size": ("INPUT.MIN_SIZE_TRAIN", (0,)),
    "images of several sizes": ("INPUT.MIN_SIZE_TRAIN", (48, 64, 80)),
    "a range of sizes": (
        *("INPUT.MIN_SIZE_TRAIN", (48, 80)),
        *("INPUT.MIN_SIZE_TRAIN_SAMPLING", "range"),
    ),
    "crops": ("INPUT.CROP.ENABLED", True),
    "vertical flips": ("INPUT.RANDOM_FLIP", "vertical"),
    "RGB": ("INPUT.FORMAT", "RGB"),
    "images without boxes": ("DATALOADER.FILTER_EMPTY_ANNOTATIONS", False),
    "images of mixed shapes": ("DATALOADER.ASPECT_RATIO_GROUPING", False),
    "repeat factors": (
        *("DATALOADER.SAMPLER_TRAIN", "RepeatFactorTrainingSampler"),
        *("DATALOADER.REPEAT_THRESHOLD", 0.5),
    ),
    "loading processes": ("DATALOADER.NUM_WORKERS", 2),
    "one image a batch": ("SOLVER.IMS_PER_BATCH", 1),
    "an odd batch": ("SOLVER.IMS_PER_BATCH", 5),
    "clipped gradients": (
        *("SOLVER.CLIP_GRADIENTS.ENABLED", True),
        *("SOLVER.CLIP_GRADIENTS.CLIP_TYPE", "norm"),
    ),
    "a rate of their own for biases": ("SOLVER.BIAS_LR_FACTOR", 2.0),
    "a cosine": ("SOLVER.LR_SCHEDULER_NAME", "WarmupCosineLR"),
    "the size of a reference batch": ("SOLVER.REFERENCE_WORLD_SIZE", 1),
    "pictures of proposals": ("VIS_PERIOD", 1),
    "an evaluation a step": ("TEST.EVAL_PERIOD", 1),
    "a checkpoint a step": ("SOLVER.CHECKPOINT_PERIOD", 1),
    "test-time augmentation": ("TEST.AUG.ENABLED", True),
    "expected results": ("TEST.EXPECTED_RESULTS", [["bbox", "AP", 0.0, 100.0]]),
    "a GIoU loss": (f"{HEAD}BBOX_REG_LOSS_TYPE", "giou", f"{RPN}BBOX_REG_LOSS_TYPE", "giou"),
    "a smooth L1 loss": (f"{HEAD}SMOOTH_L1_BETA", 0.5),
    "weights of the losses": (f"{RPN}LOSS_WEIGHT", 2.0, f"{HEAD}BBOX_REG_LOSS_WEIGHT", 2.0),
    "boxes for all classes": (f"{HEAD}CLS_AGNOSTIC_BBOX_REG", True),
    "a convolutional head with BatchNorm": (
        *(f"{HEAD}NUM_CONV", 1, f"{HEAD}CONV_DIM", 8),
        *(f"{HEAD}NORM", "BN"),
    ),
    "RoIPool": (f"{HEAD}POOLER_TYPE", "ROIPool"),
    "another ROIAlign": (f"{HEAD}POOLER_TYPE", "ROIAlign"),
    "no ground truth among proposals": (f"{ROI}PROPOSAL_APPEND_GT", False),
    "nothing but background": (f"{ROI}POSITIVE_FRACTION", 0.0),
    "nothing but foreground": (f"{ROI}POSITIVE_FRACTION", 1.0),
    "no region that is foreground": (f"{ROI}IOU_THRESHOLDS", [0.99]),
    "one region an image": (f"{ROI}BATCH_SIZE_PER_IMAGE", 1),
    "one proposal an image": (f"{RPN}POST_NMS_TOPK_TRAIN", 1),
    "anchors in the image alone": (f"{RPN}BOUNDARY_THRESH", 0),
    "heads on some levels": (f"{ROI}IN_FEATURES", ["p3", "p4"]),
    "an RPN on some levels": (
        *(f"{RPN}IN_FEATURES", ["p3", "p4"]),
        *("MODEL.ANCHOR_GENERATOR.SIZES", [[36], [64]]),
    ),
    "averaged levels": ("MODEL.FPN.FUSE_TYPE", "avg"),
    "a frozen ResNet": ("MODEL.BACKBONE.FREEZE_AT", 5),
    "GroupNorm": ("MODEL.FPN.NORM", "GN", "MODEL.FPN.OUT_CHANNELS", 32),
    "SyncBN": ("MODEL.RESNETS.NORM", "SyncBN"),
}


@pytest.mark.parametrize("opts", OPTIONS.values(), ids=OPTIONS)
def test_a_distilled_training_comes_to_its_end(opts, coco_files, teacher_files, tmp_path):
    register_coco([("mine", str(coco_files.annotations), str(coco_files.images))])
    cfg = student_cfg(
        teacher_files,
        *("DATASETS.TRAIN", ("mine",), "DATASETS.TEST", ("mine",)),
        *("SOLVER.MAX_ITER", 2, "SOLVER.STEPS", (), "OUTPUT_DIR", str(tmp_path)),
        *("MODEL.TADISTILL.BALANCE.ENABLED", True, "MODEL.TADISTILL.DECAY.SCHEDULE", "constant"),
        *opts,
    )
    trainer = TADistillTrainer(cfg)
    trainer.resume_or_load(resume=False)
    before = clone(trainer.model.state_dict())
    trainer.train()

    lines = [json.loads(line) for line in Path(tmp_path, "metrics.json").read_text().splitlines()]
    metrics = {key: value for line in lines for key, value in line.items()}
    assert metrics["tad/decay"] == 1
    assert "bbox/AP" in metrics
    assert isfinite(metrics["loss_tad_feature"])
    trained = torch.load(tmp_path / "student_final.pth", weights_only=True)["model"]
    assert all(tensor.isfinite().all() for tensor in trained.values())
    changed = {name for name in trained if not torch.equal(trained[name], before[name])}
    assert any(name.startswith("backbone.fpn_") for name in changed)
    assert any(name.startswith("roi_heads.") for name in changed)


def test_a_recipe_for_eight_processes_is_scaled_to_one_and_the_decay_with_it(
    coco_files, teacher_files, tmp_path
):
    """As the README says of one GPU: an eighth of the batch and of the rate, for eight times as
    long; the teacher's weight falls over all of it.
    """
    register_coco([("mine", str(coco_files.annotations), str(coco_files.images))])
    cfg = student_cfg(
        teacher_files,
        *("DATASETS.TRAIN", ("mine",), "DATASETS.TEST", (), "OUTPUT_DIR", str(tmp_path)),
        *("SOLVER.IMS_PER_BATCH", 8, "SOLVER.BASE_LR", 0.08, "SOLVER.MAX_ITER", 1),
        *("SOLVER.REFERENCE_WORLD_SIZE", 8, "MODEL.TADISTILL.DECAY.SCHEDULE", "linear"),
    )
    trainer = TADistillTrainer(cfg)
    weights = []
    trainer.model.register_forward_pre_hook(
        lambda model, inputs: weights.append((len(inputs[0]), model.distillation_weight))
    )
    trainer.train()
    assert weights == [(1, pytest.approx(1 - t / 7)) for t in range(8)]
    assert trainer.optimizer.defaults["lr"] == pytest.approx(0.01)
