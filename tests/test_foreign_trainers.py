"""Detectron2's own trainer with the decay's hook: what it leaves undone of a config is said."""

import pytest
import torch
from detectron2.engine import DefaultTrainer, SimpleTrainer
from tiny import batch, build, student_cfg

from tadistill import DistillationDecayHook, inherit_from_teacher
from tadistill.data import register_coco
from tadistill.engine import build_optimizer
from tadistill.errors import ConfigError


@pytest.fixture
def cfg(coco_files, twin_files, tmp_path, registered_datasets):
    register_coco([("mine", str(coco_files.annotations), str(coco_files.images))])
    return student_cfg(
        twin_files,
        *("MODEL.FPN.NORM", "BN", "DATASETS.TRAIN", ("mine",), "DATASETS.TEST", ()),
        *("SOLVER.MAX_ITER", 2, "SOLVER.STEPS", (), "OUTPUT_DIR", str(tmp_path / "run")),
    )


class AdamWTrainer(DefaultTrainer):
    @classmethod
    def build_optimizer(cls, cfg, model):
        return build_optimizer(cfg, model)


def train(cfg, trainer_class=DefaultTrainer, before=lambda model: None):
    trainer = trainer_class(cfg)
    trainer.register_hooks([DistillationDecayHook(cfg)])
    trainer.resume_or_load(resume=True)
    before(trainer.model)
    trainer.train()
    return trainer


class TestOptimizer:
    @pytest.mark.parametrize("clipped", [False, True])
    def test_sgd_in_the_place_of_adamw_is_refused_before_any_step(self, cfg, clipped):
        cfg.SOLVER.OPTIMIZER, cfg.SOLVER.CLIP_GRADIENTS.ENABLED = "ADAMW", clipped
        with pytest.raises(ConfigError) as error:
            train(cfg)
        assert "SOLVER.OPTIMIZER is 'ADAMW', but this trainer has built SGD" in str(error.value)

    def test_as_the_message_says_a_trainer_can_build_it(self, cfg):
        cfg.SOLVER.OPTIMIZER = "ADAMW"
        trainer = train(cfg, AdamWTrainer)
        assert isinstance(trainer._trainer.optimizer, torch.optim.AdamW)

    def test_names_of_another_project_are_its_own_affair(self, cfg):
        cfg.SOLVER.OPTIMIZER = "sgd_of_mine"
        train(cfg)


class TestInherit:
    def test_one_that_a_trainer_does_not_make_is_warned_of(self, cfg, tadistill_log):
        cfg.MODEL.TADISTILL.INHERIT = True
        train(cfg)
        assert "has not called tadistill.inherit_from_teacher(model)" in tadistill_log.text

    def test_one_that_was_made_is_not_warned_of(self, cfg, tadistill_log):
        cfg.MODEL.TADISTILL.INHERIT = True
        train(cfg, before=inherit_from_teacher)
        train(cfg)  # goes on with the first one's checkpoint, which the start lies behind
        assert "has not called" not in tadistill_log.text

    @pytest.mark.parametrize("key", ["INHERIT", "ENABLED"])
    def test_without_one_or_without_a_teacher_nothing_is_said(self, cfg, key, tadistill_log):
        cfg.MODEL.TADISTILL.INHERIT = True
        cfg.MODEL.TADISTILL[key] = False
        train(cfg)
        assert "has not called" not in tadistill_log.text


def test_a_trainer_without_a_config_is_asked_for_nothing(twin_files):
    model = build(student_cfg(twin_files, "MODEL.FPN.NORM", "BN"))
    trainer = SimpleTrainer(model, [batch()], torch.optim.SGD(model.parameters(), lr=0.0))
    trainer.register_hooks([DistillationDecayHook()])
    trainer.train(0, 1)
    assert trainer.iter == 1
