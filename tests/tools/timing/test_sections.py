"""Each section runs on a tiny pair, and its JSON has what the page is made of."""

import json

import pytest
import torch
from timing import torchdistill_sides as other
from timing.batches import synthetic_batch
from timing.deployed import measure_deployed
from timing.growth import Axis, exponents, measure_growth
from timing.pair import Shape
from timing.parts import BACKWARD, OURS
from timing.rounds import Clock, run_rounds
from timing.side_by_side import NAIVE, TORCHDISTILL, measure_side_by_side
from timing.side_by_side import OURS as TADISTILL
from timing.sides import data_is_here, loading_side
from timing.step import STUDENT, TEACHER, compare, measure_step
from timing.variants import TABLE, Variant, read_variants

from tadistill.data import register_coco
from tadistill.errors import ConfigError
from tadistill.options import BoxOptions, DistillationOptions, LogitOptions, SharingOptions

OFF = Variant("distillation off", ("MODEL.TADISTILL.ENABLED", False))
UNKNOWN = Variant("unknown", ("MODEL.TADISTILL.NEW", True))
EVERY_TERM = Variant("every term")


@pytest.fixture(scope="module")
def step(pair):
    clock = Clock(torch.device("cpu"))
    return measure_step(pair, [EVERY_TERM, OFF, UNKNOWN], rounds=2, clock=clock)


def test_step_is_json_with_all_sides_in_all_rounds(step):
    assert json.loads(json.dumps(step)) == step
    assert set(step["seconds"]) == {STUDENT, TEACHER, "every term", "distillation off"}
    assert {len(totals) for totals in step["totals"].values()} == {2}
    for side in (STUDENT, "every term"):
        assert list(step["seconds"][side]) == ["forward", "backward", "optimizer", "total"]
    assert step["batch"] == {"images": 2, "height": 64, "width": 64, "boxes": 3, "sampled": 64}


def test_variant_that_cannot_be_built_is_named_with_its_reason(step):
    assert set(step["variants"]) == {"every term", "distillation off"}
    assert "MODEL.TADISTILL.NEW" in step["skipped"]["unknown"]


def test_floor_has_the_teachers_parts_that_a_variant_needs(step):
    assert step["variants"]["every term"]["b"] == ["backbone", "rpn", "box_head"]
    assert step["variants"]["distillation off"]["b"] == []


@pytest.mark.parametrize(
    ("options", "floor"),
    [
        (DistillationOptions(), 1 + 2 + 4 + 8),
        (DistillationOptions(sharing=SharingOptions("student")), 1 + 2 + 8),
        (
            DistillationOptions(
                SharingOptions("student"), logit=LogitOptions(0.0), box=BoxOptions(0.0)
            ),
            1 + 2,
        ),
        (None, 1),
    ],
)
def test_ratios_of_a_variant_by_hand(options, floor):
    seconds = {
        STUDENT: {"total": [1.0]},
        TEACHER: {"backbone": [2.0], "rpn": [4.0], "box_head": [8.0], "total": [14.0]},
        "every term": {"total": [30.0]},
    }
    figures = compare(seconds, EVERY_TERM, options)
    assert figures["c / (a + b)"]["median"] == pytest.approx(30 / floor, rel=1e-4)
    assert figures["c / a"]["median"] == 30
    assert figures["c - (a + b)"]["median"] == 30 - floor


def test_loading_is_measured(cfg, clock, coco_files, registered_datasets):
    register_coco([("timed", str(coco_files.annotations), str(coco_files.images))])
    cfg.DATASETS.TRAIN = ("timed",)
    assert data_is_here(cfg)
    seconds = run_rounds({"data": loading_side(cfg)}, 2, clock)
    assert all(s > 0 for s in seconds["data"]["data"])


@pytest.mark.parametrize("names", [(), ("nowhere",), ("coco_2017_train",)])
def test_data_that_is_not_here_is_not_loaded(cfg, names):
    cfg.DATASETS.TRAIN = names
    assert not data_is_here(cfg)


def test_table_of_variants_begins_with_every_term():
    variants = read_variants()
    assert variants[0] == EVERY_TERM
    assert Variant("weight 0", (), 0.0) in variants
    assert [v.name for v in read_variants(TABLE, ["no gates"])] == ["every term", "no gates"]
    with pytest.raises(ConfigError, match="no variant 'nothing'"):
        read_variants(TABLE, ["nothing"])


def test_growth_has_a_point_for_each_size(cfg, clock, tmp_path):
    def opts(count, cfg):
        rpn = {"MODEL.RPN.POST_NMS_TOPK_TRAIN": count, "TEACHER MODEL.RPN.POST_NMS_TOPK_TEST": 10}
        return {**rpn, "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": count}

    axis = Axis("sampled", (8, 16), shape=lambda size: Shape(1, 64, 2), opts=opts)
    (grown,) = measure_growth(cfg, 1, clock, tmp_path, [axis]).values()
    assert [point["size"] for point in grown["points"]] == [8, 16]
    assert [point["sampled"] for point in grown["points"]] == [8, 16]
    assert all(point["shared"] <= point["size"] + 10 for point in grown["points"])
    assert all(point["ours"] > 0 for point in grown["points"])


def test_exponents_are_those_of_the_larger_half():
    def point(size):
        parts = dict.fromkeys((*OURS, *BACKWARD), 1e-3)
        return {"size": size, "parts": {**parts, "mask": max(size, 50) ** 2}, "ours": size}

    found = exponents([point(size) for size in (1, 10, 50, 100, 200, 500)])
    assert found["mask"] == pytest.approx(2)
    assert found["terms"] == 0
    assert found["ours"] == pytest.approx(1)


def test_deployed_student_and_teacher(pair, clock):
    deployed = measure_deployed(pair, 2, clock)
    assert set(deployed["images / s"]) == {"teacher", "student"}
    assert deployed["teacher / student"]["median"] > 0
    assert pair.student.training


def test_side_by_side_without_torchdistill(pair, clock, monkeypatch):
    monkeypatch.setattr(other, "torchdistill", None)
    result = measure_side_by_side(pair, 1, clock)
    assert set(result["distillations"]) == {TADISTILL, NAIVE}
    assert result["skipped"] == {TORCHDISTILL: other.MISSING}


def test_torchdistill_does_one_step_of_its_own(clock):
    pytest.importorskip("torchdistill")
    batch = synthetic_batch(1, (64, 64), 2, num_classes=3)
    few = {
        "rpn_post_nms_top_n_train": 20,
        "rpn_post_nms_top_n_test": 20,
        "box_batch_size_per_image": 8,
    }
    sides = other.torchdistill_sides(batch, 3, torch.device("cpu"), depths=(18, 18), **few)
    seconds = run_rounds(sides, 1, clock, warmup=0)
    assert list(seconds["torchdistill c"]) == ["forward", "backward and optimizer", "total"]


def test_torchdistill_adds_an_imitation_to_the_students_losses():
    pytest.importorskip("torchdistill")
    from torchdistill.losses.high_level import WeightedSumLoss

    criterion = WeightedSumLoss(**other._train_config()["criterion"]["kwargs"])
    maps = {level: {"output": torch.ones(2)} for level in other.LEVELS}
    zeros = {level: {"output": torch.zeros(2)} for level in other.LEVELS}
    loss = criterion({"student": maps, "teacher": zeros}, {"loss_rpn": torch.tensor(3.0)}, None)
    assert loss == 3 + len(other.LEVELS)
