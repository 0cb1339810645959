"""What makes a run another one, and what does not."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import student_cfg
from trainings.fingerprint import different_keys, digest, fingerprint

from tadistill.data import register_coco


@pytest.fixture
def cfg(teacher_files, coco_files, registered_datasets):
    data = (str(coco_files.annotations), str(coco_files.images))
    register_coco([("tiny_train", *data), ("tiny_val", *data)])
    datasets = ("DATASETS.TRAIN", ("tiny_train",), "DATASETS.TEST", ("tiny_val",))
    return student_cfg(teacher_files, *datasets)


def changed(cfg, *opts, **kind):
    """The keys in which the fingerprints with and without ``opts`` differ."""
    other = cfg.clone()
    other.merge_from_list(list(opts))
    return different_keys(fingerprint(cfg, **kind), fingerprint(other, **kind))


def test_it_is_what_differs_from_stock_detectron2_and_all_keys_of_ours(cfg):
    values = fingerprint(cfg)
    assert values["MODEL.FPN.OUT_CHANNELS"] == 8
    assert values["MODEL.TADISTILL.DECAY.SCHEDULE"] == "linear"
    assert "MODEL.RPN.NMS_THRESH" not in values


@pytest.mark.parametrize("key", ["SOLVER.MAX_ITER", "SEED", "MODEL.TADISTILL.LOGIT.WEIGHT"])
def test_a_value_that_counts(cfg, key):
    assert changed(cfg, key, "7" if "WEIGHT" not in key else "7.0") == [key]


@pytest.mark.parametrize(
    "opts", [("OUTPUT_DIR", "elsewhere"), ("SOLVER.CHECKPOINT_PERIOD", 7)], ids=str
)
def test_a_value_that_does_not(cfg, opts):
    assert changed(cfg, *opts) == []


def test_weights_that_are_moved_are_the_same(cfg, teacher_files, tmp_path):
    key = "MODEL.TADISTILL.TEACHER.WEIGHTS"
    moved = tmp_path / "moved.pth"
    moved.write_bytes(teacher_files.weights.read_bytes())
    assert changed(cfg, key, str(moved)) == []
    torch.save({"model": {}}, other := tmp_path / "other.pth")
    assert changed(cfg, key, str(other)) == [key]


def test_a_teachers_config_is_what_it_says(cfg, teacher_files, tmp_path):
    key = "MODEL.TADISTILL.TEACHER.CONFIG_FILE"
    based = tmp_path / "based.yaml"
    based.write_text(f"_BASE_: {teacher_files.config}\nSOLVER: {{MAX_ITER: 5}}\n")
    assert changed(cfg, key, str(based)) == []
    based.write_text(f"_BASE_: {teacher_files.config}\nMODEL: {{RPN: {{NMS_THRESH: 0.5}}}}\n")
    assert changed(cfg, key, str(based)) == [key]


def test_terms_do_not_count_where_there_is_no_distillation(cfg):
    cfg.MODEL.TADISTILL.ENABLED = False
    assert changed(cfg, "MODEL.TADISTILL.FEATURE.WEIGHT", 9.0) == []
    assert changed(cfg, "SOLVER.MAX_ITER", 9) == ["SOLVER.MAX_ITER"]


def test_keys_that_do_not_count_may_be_in_an_older_record(cfg):
    cfg.MODEL.TADISTILL.ENABLED = False
    now = fingerprint(cfg)
    assert different_keys({**now, "MODEL.TADISTILL.FEATURE.WEIGHT": 3.0}, now) == []
    assert different_keys({**now, "MODEL.FPN.NORM": "GN"}, now) == ["MODEL.FPN.NORM"]
    with_teacher = {**now, "MODEL.TADISTILL.ENABLED": True}
    different = {**with_teacher, "MODEL.TADISTILL.FEATURE.WEIGHT": 3.0}
    assert different_keys(with_teacher, different) == ["MODEL.TADISTILL.FEATURE.WEIGHT"]


def test_a_plain_detector_has_no_distillation(cfg):
    cfg.MODEL.META_ARCHITECTURE = "GeneralizedRCNN"
    assert changed(cfg, "MODEL.TADISTILL.FEATURE.WEIGHT", 9.0) == []


def test_of_a_teachers_evaluation_only_teacher_and_test_data_count(cfg):
    kind = {"evaluate_teacher": True}
    assert changed(cfg, "SOLVER.MAX_ITER", 9, "SEED", 4, **kind) == []
    assert changed(cfg, "MODEL.FPN.OUT_CHANNELS", 9, **kind) == []
    assert changed(cfg, "INPUT.MIN_SIZE_TEST", 9, **kind) == ["INPUT.MIN_SIZE_TEST"]
    values = fingerprint(cfg, **kind)
    assert "annotations of tiny_val" in values
    assert "annotations of tiny_train" not in values


def test_annotations_count(cfg, tmp_path, coco_files):
    before = fingerprint(cfg)
    other = tmp_path / "other.json"
    other.write_text(coco_files.annotations.read_text() + "\n")
    register_coco([("other", str(other), str(coco_files.images))])
    cfg.DATASETS.TEST = ("other",)
    after = fingerprint(cfg)
    assert before["annotations of tiny_val"] != after["annotations of other"]


def test_a_new_key_counts_unless_it_is_neutral():
    old, new = {"A": 1}, {"A": 1, "B": 2}
    assert different_keys(old, new) == ["B"]
    assert different_keys(old, new, neutral=["B"]) == []
    assert different_keys({"A": 1, "B": 3}, new, neutral=["B"]) == ["B"]
    assert different_keys(new, old, neutral=["B"]) == ["B"]  # one that is gone


@given(st.dictionaries(st.text(max_size=3), st.integers() | st.floats(allow_nan=False) | st.none()))
def test_the_order_of_keys_is_nothing(values):
    values = {k: v for k, v in values.items() if v not in (float("inf"), -float("inf"))}
    backwards = dict(reversed(values.items()))
    assert digest(values) == digest(backwards)
    assert different_keys(values, backwards) == []
    assert digest(values | {"more": 1.5}) != digest(values) or values.get("more") == 1.5
