"""torchdistill's distillation of torchvision's Faster R-CNN, as three sides like ours.

It imitates feature maps: its boxes know nothing of proposals, so that box heads cannot be compared.
Set up after its own sample configs for COCO (``forward_batch_target``, the model's loss plus an
imitation term), with a mean squared error on each FPN level, which needs no adapters as both models
have 256 channels.
"""

import torch
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from .pair import normalise
from .rounds import Side, Stopwatch
from .sides import step_side

try:
    import torchdistill
    from torchdistill.core.distillation import DistillationBox
except ImportError:
    torchdistill = None

LEVELS = [f"backbone.fpn.layer_blocks.{i}" for i in range(4)]  # p2 to p5
MISSING = "torchdistill is not installed; pip install torchdistill"


def torchdistill_sides(
    batch: list[dict],
    num_classes: int,
    device: torch.device,
    depths: tuple[int, int] = (101, 50),
    **options,
) -> dict[str, Side]:
    """Its a, b and c.

    Args:
        batch: as Detectron2's loader gives it.
        num_classes: K.
        device: where they run.
        depths: of the ResNets of teacher and student.
        options: of ``FasterRCNN``.
    """
    images = [x["image"].float().div(255).to(device) for x in batch]
    targets = [
        {
            "boxes": x["instances"].gt_boxes.tensor.to(device),
            "labels": x["instances"].gt_classes.to(device) + 1,  # 0 is background
        }
        for x in batch
    ]
    side = max(images[0].shape[-2:])
    teacher, student = (
        _faster_rcnn(depth, num_classes, side, **options).to(device) for depth in depths
    )
    for model in (teacher, student):
        transformed, _ = model.transform(images)
        normalise(model.backbone, transformed.tensors)
    teacher.eval()
    student.train()
    box = DistillationBox(teacher, student, {}, _train_config(), device, None, False, 1)
    box.teacher_model.eval()
    optimizer = torch.optim.SGD(student.parameters(), **_sgd())

    @torch.no_grad()
    def infer(watch: Stopwatch) -> None:
        teacher(images, targets)
        watch.mark("inference")

    def distil(watch: Stopwatch) -> None:
        loss = box.forward_process(images, targets, {})
        watch.mark("forward")
        box.post_forward_process(loss)
        watch.mark("backward and optimizer")

    return {
        "torchdistill a": step_side(lambda: sum(student(images, targets).values()), optimizer),
        "torchdistill b": infer,
        "torchdistill c": distil,
    }


def _faster_rcnn(depth: int, num_classes: int, side: int, **options) -> FasterRCNN:
    backbone = resnet_fpn_backbone(backbone_name=f"resnet{depth}", weights=None, trainable_layers=3)
    return FasterRCNN(backbone, num_classes + 1, min_size=side, max_size=side, **options)


def _sgd() -> dict:
    """A step that leaves the weights as they were, as on our sides."""
    return {"lr": 0.0, "momentum": 0.9, "weight_decay": 1e-4}


def _train_config() -> dict:
    def model(frozen: bool) -> dict:
        return {
            "forward_proc": "forward_batch_target",
            "sequential": [],
            "forward_hook": {"input": [], "output": LEVELS},
            "requires_grad": not frozen,
        }

    def imitation(level: str) -> dict:
        place = {"module_path": level, "io": "output"}
        return {
            "criterion": {"key": "MSELoss", "kwargs": {"reduction": "mean"}},
            "criterion_wrapper": {
                "key": "SimpleLossWrapper",
                "kwargs": {
                    "input": {"is_from_teacher": False, **place},
                    "target": {"is_from_teacher": True, **place},
                },
            },
            "weight": 1.0,
        }

    return {
        "num_epochs": 1,
        "teacher": model(frozen=True),
        "student": model(frozen=False),
        "optimizer": {"key": "SGD", "kwargs": _sgd()},
        "criterion": {
            "key": "WeightedSumLoss",
            "func2extract_model_loss": "extract_model_loss_dict",
            "kwargs": {
                "model_term": {"weight": 1.0},
                "sub_terms": {level: imitation(level) for level in LEVELS},
            },
        },
    }
