"""What is known to be wrong before the first step is spent."""

import pytest
import torch
from tiny import plain_cfg

from tadistill.engine import check_before_training, register_coco
from tadistill.errors import ConfigError

pytestmark = pytest.mark.usefixtures("registered_datasets")


@pytest.fixture
def cfg(coco_files):
    register_coco([("mine", str(coco_files.annotations), str(coco_files.images))])
    return plain_cfg("DATASETS.TRAIN", ("mine",), "DATASETS.TEST", ("mine",))


def refusal(cfg):
    with pytest.raises(ConfigError) as error:
        check_before_training(cfg)
    return str(error.value)


def test_nothing_wrong_says_nothing(cfg):
    check_before_training(cfg)
    cfg.DATASETS.TEST = ()
    check_before_training(cfg)


@pytest.mark.parametrize("key", ["TRAIN", "TEST"])
def test_a_dataset_that_is_not_registered(cfg, key):
    cfg.DATASETS[key] = ("mine", "nobodys")
    text = refusal(cfg)
    assert f"DATASETS.{key} names 'nobodys'" in text
    assert "--register-coco nobodys" in text


def test_no_dataset_to_train_on(cfg):
    cfg.DATASETS.TRAIN = ()
    assert "DATASETS.TRAIN is empty" in refusal(cfg)


def test_another_number_of_classes_than_the_dataset(cfg):
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = 80
    text = refusal(cfg)
    assert "MODEL.ROI_HEADS.NUM_CLASSES is 80" in text
    assert "mine (DATASETS.TRAIN) has 3 classes (blue, green, red); set it to 3" in text


def test_a_dataset_that_cannot_be_read(cfg, tmp_path, coco_files):
    path = tmp_path / "broken.json"
    path.write_text("{")
    register_coco([("broken", str(path), str(coco_files.images))])
    cfg.DATASETS.TEST = ("broken",)
    text = refusal(cfg)
    assert f"DATASETS.TEST: broken cannot be read from {path}" in text
    assert "JSONDecodeError" in text


def test_a_gpu_that_is_not_there(cfg, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    cfg.MODEL.DEVICE = "cuda"
    text = refusal(cfg)
    assert "MODEL.DEVICE is 'cuda'" in text
    assert "MODEL.DEVICE cpu" in text


def test_a_gpu_that_is_there_is_no_problem(cfg, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    cfg.MODEL.DEVICE = "cuda"
    cfg.SOLVER.AMP.ENABLED = True
    check_before_training(cfg)


def test_mixed_precision_without_a_gpu(cfg):
    cfg.SOLVER.AMP.ENABLED = True
    assert "SOLVER.AMP.ENABLED is True" in refusal(cfg)
