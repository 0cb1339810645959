"""A training that goes on with a config that has been changed since."""

from pathlib import Path

import pytest
import torch
from detectron2.engine import AMPTrainer, DefaultTrainer
from tiny import save_teacher, student_cfg, teacher_cfg, term_weights

from tadistill.checkpoint import TrainingCheckpointer
from tadistill.data import register_coco
from tadistill.engine import TADistillTrainer
from tadistill.errors import ConfigError

pytestmark = [
    pytest.mark.usefixtures("registered_datasets"),
    pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning"),
]


@pytest.fixture
def configured(coco_files, teacher_files, tmp_path):
    """A config with overrides, of two iterations."""
    register_coco([("mine", str(coco_files.annotations), str(coco_files.images))])

    def configured(*opts, teacher=teacher_files):
        return student_cfg(
            teacher,
            *("DATASETS.TRAIN", ("mine",), "DATASETS.TEST", (), "SOLVER.MAX_ITER", 2),
            *("SOLVER.STEPS", (), "SOLVER.WARMUP_ITERS", 4, "OUTPUT_DIR", str(tmp_path / "run")),
            *opts,
        )

    return configured


def trained(cfg):
    trainer = TADistillTrainer(cfg)
    trainer.resume_or_load(resume=False)
    trainer.train()
    return trainer


def resumed(cfg):
    trainer = TADistillTrainer(cfg)
    trainer.resume_or_load(resume=True)
    return trainer


def settings(trainer):
    names = ("lr", "initial_lr", "momentum", "weight_decay")
    return [{name: group[name] for name in names} for group in trainer.optimizer.param_groups]


LOWER = ("SOLVER.BASE_LR", 0.002, "SOLVER.MOMENTUM", 0.5, "SOLVER.WEIGHT_DECAY", 0.01)


def test_rate_momentum_and_weight_decay_are_those_of_the_new_config(configured, tadistill_log):
    trained(configured())
    trainer = resumed(configured(*LOWER, "SOLVER.MAX_ITER", 4))
    # As one that has had them from the start, at its third iteration.
    other = TADistillTrainer(configured(*LOWER, "SOLVER.MAX_ITER", 4))
    for _ in range(2):
        other.scheduler.step()
    assert settings(trainer) == settings(other)
    assert "initial_lr 0.01 -> 0.002, momentum 0.9 -> 0.5" in tadistill_log.text
    trainer.train()
    for _ in range(2):
        other.scheduler.step()
    assert settings(trainer) == settings(other)
    assert trainer.start_iter == 2


@pytest.mark.parametrize(
    "schedule",
    [
        ("SOLVER.STEPS", (1,), "SOLVER.WARMUP_ITERS", 0),
        ("SOLVER.MAX_ITER", 40, "SOLVER.LR_SCHEDULER_NAME", "WarmupCosineLR"),
        ("SOLVER.STEPS", (1,), "SOLVER.WARMUP_ITERS", 0, "SOLVER.WEIGHT_DECAY", 0.01),
    ],
)
def test_the_schedule_is_that_of_the_new_config_from_the_first_step_on(configured, schedule):
    trained(configured())
    trainer = resumed(configured("SOLVER.MAX_ITER", 4, *schedule))
    assert [group["lr"] for group in trainer.optimizer.param_groups] == trainer.scheduler.get_lr()
    fresh = TADistillTrainer(configured("SOLVER.MAX_ITER", 4, *schedule))
    for _ in range(2):
        fresh.scheduler.step()
    assert settings(trainer) == settings(fresh)


def test_mixed_precision_may_be_switched_on(configured):
    """Whose trainer wants a GPU for a step, but not to be built."""
    trained(configured())
    trainer = TADistillTrainer(configured())
    simple = trainer._trainer
    trainer._trainer = AMPTrainer(simple.model, simple.data_loader, simple.optimizer)
    trainer.resume_or_load(resume=True)
    assert trainer.start_iter == 2


@pytest.mark.parametrize("schedule", ["WarmupMultiStepLR", "WarmupCosineLR"])
def test_a_length_below_what_is_done_ends_the_training(configured, tmp_path, schedule):
    schedule = ("SOLVER.LR_SCHEDULER_NAME", schedule)
    trained(configured(*schedule))
    (tmp_path / "run/student_final.pth").unlink()
    resumed(configured(*schedule, "SOLVER.MAX_ITER", 1)).train()
    assert (tmp_path / "run/student_final.pth").exists()


def test_without_a_change_nothing_is_said_and_all_is_the_checkpoints(configured, tadistill_log):
    first = trained(configured())
    trainer = resumed(configured())
    assert settings(trainer) == settings(first)
    assert "As the config says" not in tadistill_log.text


FEATURE_OFF = term_weights(0, 1, 1)
ADAMW = ("SOLVER.OPTIMIZER", "ADAMW")
FROZEN_BN = ("MODEL.RESNETS.NORM", "FrozenBN")
LEVELS = "MODEL.TADISTILL.FEATURE.LEVELS"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ((), ("MODEL.ROI_BOX_HEAD.FC_DIM", 16), r"another model\.\nOf another shape .*fc1"),
        ((), ("MODEL.RESNETS.DEPTH", 101), r"another model\.\nNot in the file .*res4"),
        (FEATURE_OFF, (), r"another model\.\nNot in the file .*adapters"),
        ((), FEATURE_OFF, r"another model\.\nIn the file, but not .*adapters"),
        ((LEVELS, ["p2"]), (LEVELS, ["p3"]), r"another model\.\n.*adapters\.p2"),
        ((), ADAMW, r"SOLVER\.OPTIMIZER was SGD, and now is ADAMW"),
        (ADAMW, (), r"SOLVER\.OPTIMIZER was ADAMW, and now is SGD"),
        (("SOLVER.BIAS_LR_FACTOR", 2.0), (), r"in other groups: SOLVER\.BIAS_LR_FACTOR"),
        ((*FROZEN_BN, "MODEL.BACKBONE.FREEZE_AT", 5), FROZEN_BN, r"other parameters: other layers"),
    ],
)
def test_another_model_or_optimizer_is_refused(configured, before, after, message):
    trained(configured(*before))
    with pytest.raises(ConfigError, match=message) as error:
        resumed(configured(*after))
    path = Path(configured().OUTPUT_DIR, "model_final.pth")
    assert str(error.value).startswith(f"--resume: {path} cannot be gone on from: ")
    assert f"MODEL.WEIGHTS {path}" in str(error.value)


def test_another_teacher_is_refused_where_it_shows(configured, tmp_path):
    trained(configured())
    wider = save_teacher(teacher_cfg("MODEL.FPN.OUT_CHANNELS", 12), tmp_path)
    with pytest.raises(ConfigError, match=r"Of another shape .*adapters"):
        resumed(configured(teacher=wider))


def test_weights_alone_are_refused(configured):
    first = trained(configured())
    path = Path(first.cfg.OUTPUT_DIR, "model_final.pth")
    torch.save({"model": first.model.state_dict()}, path)
    with pytest.raises(ConfigError, match=r"weights, but no state of a training \('trainer'\)"):
        resumed(configured())


def test_a_checkpoint_of_detectron2s_own_trainer_is_refused(configured):
    cfg = configured("MODEL.TADISTILL.ENABLED", False)
    trainer = DefaultTrainer(cfg)
    state = {"trainer": {"iteration": 1}}  # as v0.6 has it
    Path(cfg.OUTPUT_DIR).mkdir(exist_ok=True)
    TrainingCheckpointer(trainer.model, cfg.OUTPUT_DIR).save("model_0000001", **state)
    with pytest.raises(ConfigError, match="no state of an optimizer: Detectron2"):
        resumed(cfg)


def test_processes_that_find_other_checkpoints_are_refused(configured, monkeypatch):
    """Machines with a disk of their own each would train a model each."""
    trained(configured())
    trainer = TADistillTrainer(configured("SOLVER.MAX_ITER", 4))
    exchanged = []

    def all_gather(name):
        exchanged.append(name)
        return [name, "none"]

    monkeypatch.setattr("detectron2.utils.comm.all_gather", all_gather)
    with pytest.raises(ConfigError) as error:
        trainer.resume_or_load(resume=True)
    assert exchanged == ["model_final.pth"]
    text = str(error.value)
    assert text.startswith("--resume: not all processes find the same checkpoint in OUTPUT_DIR")
    assert "(process 0: model_final.pth, process 1: none): it must be on a disk" in text


def test_a_process_without_a_whole_checkpoint_tells_the_others(configured, monkeypatch):
    """Which would wait for it, if it raised an error alone."""
    cfg = configured()
    trained(cfg)
    trainer = TADistillTrainer(configured("SOLVER.MAX_ITER", 4))
    path = Path(cfg.OUTPUT_DIR) / "model_final.pth"
    path.write_bytes(path.read_bytes()[:1000])
    monkeypatch.setattr("detectron2.utils.comm.all_gather", lambda name: [name, "model_final.pth"])
    with pytest.raises(ConfigError) as error:
        trainer.resume_or_load(resume=True)
    assert "(process 0: none is whole, process 1: model_final.pth)" in str(error.value)


def test_scales_that_the_checkpoint_does_not_have_are_measured(configured):
    trained(configured())
    balanced = ("MODEL.TADISTILL.BALANCE.ENABLED", True, "MODEL.TADISTILL.BALANCE.PERIOD", 1)
    trainer = resumed(configured(*balanced, "SOLVER.MAX_ITER", 4))
    assert not trainer.model.balance.scales.any()
    trainer.train()
    assert trainer.model.balance.scales.all()
