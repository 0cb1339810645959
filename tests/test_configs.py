"""Every file of configs/, and every row of the grids in it, is built and run for one step."""

import sys
from pathlib import Path

import pytest
import torch
import yaml
from detectron2.config import get_cfg
from detectron2.modeling import GeneralizedRCNN, build_model
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage

import tadistill.teacher.trained
from tadistill import TADistillRCNN, add_tadistill_config
from tadistill.engine import TADistillTrainer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "projects/TADistill/tools"))
from ablation.grid import load_grid
from ablation.resolve import as_opts

ROOT = Path(__file__).resolve().parents[1]
ABLATIONS = sorted((ROOT / "configs/ablations").glob("*.yaml"))
GRIDS = [path for path in ABLATIONS if path.name != "choices.yaml"]  # whose rows others have
CONFIGS = sorted(set((ROOT / "configs").rglob("*.yaml")) - set(ABLATIONS))
BASES = [path for path in CONFIGS if path.name.startswith("Base-")]
RECIPES = [path for path in CONFIGS if path not in BASES]


def name(path):
    return str(path.relative_to(ROOT / "configs"))


def load(path, opts=()):
    cfg = get_cfg()
    add_tadistill_config(cfg)
    cfg.merge_from_file(str(path))
    cfg.merge_from_list(list(opts))
    return cfg


def rows(path):
    """Each row of a grid: a config and overrides."""
    grid = load_grid(path)
    for row in grid.rows.values():
        config = row.config or grid.config
        opts = as_opts({**grid.common, **row.overrides}, config, row.name)
        yield pytest.param(ROOT / config, opts, id=f"{name(path)}:{row.name}")


RUNS = [pytest.param(path, (), id=name(path)) for path in RECIPES]
RUNS += [row for path in GRIDS for row in rows(path)]


def bases_of(path):
    base = yaml.safe_load(path.read_text()).get("_BASE_")
    if base is None:
        return []
    base = (path.parent / base).resolve()
    return [base, *bases_of(base)]


@pytest.fixture
def teachers_of_random_weights(monkeypatch):
    """The zoo cannot be reached by a test; everything else about a teacher is as in a training."""
    loaded = []
    monkeypatch.setattr(
        tadistill.teacher.trained,
        "load_all_weights",
        lambda model, path, *args: loaded.append(path),
    )
    return loaded


def one_image(num_classes):
    gt = Instances((96, 120))
    gt.gt_boxes = Boxes(torch.tensor([[8.0, 10.0, 60.0, 70.0], [50.0, 20.0, 110.0, 90.0]]))
    gt.gt_classes = torch.tensor([0, num_classes - 1])
    image = torch.randint(0, 256, (3, 96, 120), dtype=torch.uint8)
    return {"image": image, "instances": gt, "height": 96, "width": 120}


@pytest.mark.parametrize(("path", "opts"), RUNS)
def test_recipe_runs_for_one_step(path, opts, teachers_of_random_weights, monkeypatch):
    monkeypatch.chdir(ROOT)
    cfg = load(path, opts)
    teacher = cfg.MODEL.TADISTILL.TEACHER
    # What a training of the one leaves at the other.
    for name in ("custom", "lite"):
        if f"output/{name}/teacher/config.yaml" == teacher.CONFIG_FILE:
            teacher.CONFIG_FILE = f"configs/{name}/teacher.yaml"
    # What tools/convert_efficientnet_lite.py leaves. A teacher is built without.
    if f"output/pretrained/{cfg.MODEL.TIMM.NAME}.pth" == cfg.MODEL.TIMM.WEIGHTS:
        cfg.MODEL.TIMM.WEIGHTS = ""
    cfg.MODEL.DEVICE = "cpu"
    # RoIAlign of a thousand regions is most of a step on so small an image.
    heads, rpn = cfg.MODEL.ROI_HEADS, cfg.MODEL.RPN
    heads.BATCH_SIZE_PER_IMAGE = min(heads.BATCH_SIZE_PER_IMAGE, 64)
    rpn.POST_NMS_TOPK_TRAIN = min(rpn.POST_NMS_TOPK_TRAIN, 100)
    torch.manual_seed(0)
    model = build_model(cfg).train()
    optimizer = TADistillTrainer.build_optimizer(cfg, model)
    before = {key: value.clone() for key, value in model.state_dict().items()}

    with EventStorage():
        losses = model([one_image(cfg.MODEL.ROI_HEADS.NUM_CLASSES)] * 2)
    sum(losses.values()).backward()
    optimizer.step()

    assert all(torch.isfinite(loss) for loss in losses.values())
    assert any(not torch.equal(before[key], value) for key, value in model.state_dict().items())
    distills = cfg.MODEL.META_ARCHITECTURE == "TADistillRCNN" and cfg.MODEL.TADISTILL.ENABLED
    assert len(teachers_of_random_weights) == int(distills)
    if distills:
        assert isinstance(model, TADistillRCNN)
        assert isinstance(model.teacher, GeneralizedRCNN)


def test_every_base_is_the_base_of_a_recipe():
    used = {base for path in RECIPES for base in bases_of(path)}
    assert used >= set(BASES)


@pytest.mark.parametrize("path", [p for p in RECIPES if "baseline" in p.name], ids=name)
def test_baseline_is_its_recipe_with_distillation_off(path):
    baseline = load(path)
    distilled = load(bases_of(path)[0])
    assert distilled.MODEL.TADISTILL.ENABLED
    assert not baseline.MODEL.TADISTILL.ENABLED
    for cfg in (baseline, distilled):
        cfg.MODEL.TADISTILL.ENABLED = None
        cfg.OUTPUT_DIR = None
    assert baseline == distilled


def test_no_two_recipes_share_an_output_folder():
    folders = [load(path).OUTPUT_DIR for path in RECIPES]
    assert len(set(folders)) == len(folders)
