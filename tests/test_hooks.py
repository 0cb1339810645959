"""The decay hook: w(t) from the iteration alone, and gates and scales in the event storage."""

import pytest
import torch
from detectron2.engine import SimpleTrainer
from tiny import batch, build, plain_cfg, student_cfg
from torch import nn

from tadistill import DistillationDecayHook
from tadistill.errors import ConfigError


class Listener(nn.Module):
    """Notes the weight that each step is done with; has two gates to tell of."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.distillation_weight, self.is_yet_to_inherit = None, False
        self.weights = []
        self.gate_shares, self.balance_scales = {}, {}
        self.teacher = nn.Identity()

    def forward(self, data):
        self.weights.append(self.distillation_weight)
        open_gates = self.distillation_weight > 0
        self.gate_shares = (
            {"logit": torch.tensor(0.25), "box": torch.tensor(0.5)} if open_gates else {}
        )
        self.balance_scales = {"feature": torch.tensor(4.0)} if open_gates else {}
        return {"loss": self.scale.square()}


def run(hook, start, max_iter, model=None, stop=None):
    """Trains from ``start`` (as after a resume), perhaps interrupted at ``stop``."""
    model = model or Listener()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    trainer = SimpleTrainer(model, [batch()] * max_iter, optimizer)
    trainer.register_hooks([hook])
    if stop is None:
        trainer.train(start, max_iter)
    else:

        def interrupted():
            if trainer.iter == stop:
                raise KeyboardInterrupt
            SimpleTrainer.run_step(trainer)

        trainer.run_step = interrupted
        with pytest.raises(KeyboardInterrupt):
            trainer.train(start, max_iter)
    return model, trainer


@pytest.mark.parametrize(
    ("arguments", "weights"),
    [
        ({}, [1.0, 0.75, 0.5, 0.25, 0.0]),
        ({"schedule": "constant"}, [1.0] * 5),
        ({"schedule": "cosine"}, [1.0, 0.8535533905932737, 0.5, 0.14644660940672627, 0.0]),
        (
            {"schedule": "step", "steps": [0.5, 0.75], "gamma": 0.1},
            [1.0, 1.0, 0.1, 0.01, 0.01],
        ),
    ],
)
def test_sets_the_weight_before_each_step(arguments, weights):
    model, _ = run(DistillationDecayHook(**arguments), 0, 5)
    assert model.weights == pytest.approx(weights)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "step"])
def test_a_resumed_training_has_the_weights_of_an_uninterrupted_one(schedule):
    def hook():
        return DistillationDecayHook(schedule=schedule, steps=[0.5], gamma=0.1)

    whole, _ = run(hook(), 0, 7)
    before, _ = run(hook(), 0, 7, stop=3)
    after, _ = run(hook(), 3, 7)
    assert len(before.weights) == 3
    assert before.weights + after.weights == whole.weights


def test_writes_the_shares_of_the_gates():
    _, trainer = run(DistillationDecayHook(), 0, 3)
    histories = trainer.storage.histories()
    assert [value for value, _ in histories["tad/decay"].values()] == [1.0, 0.5, 0.0]
    # At w = 0 the teacher is not run, so no gate has anything to say.
    assert [value for value, _ in histories["tad/gate_logit"].values()] == [0.25, 0.25]
    assert [value for value, _ in histories["tad/gate_box"].values()] == [0.5, 0.5]
    assert "tad/gate_feature" not in histories
    assert [value for value, _ in histories["tad/balance_feature"].values()] == [4.0, 4.0]
    assert trainer.storage.latest_with_smoothing_hint(20)["tad/decay"] == (0.0, 2)


def test_reaches_a_model_that_is_wrapped_for_distributed_training(monkeypatch):
    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, data):
            return self.module(data)

    monkeypatch.setattr("tadistill.parallel.DistributedDataParallel", Wrapper)
    inner = Listener()
    run(DistillationDecayHook(), 0, 3, Wrapper(inner))
    assert inner.weights == [1.0, 0.5, 0.0]


def test_reads_its_config():
    cfg = student_cfg(
        None,
        *("MODEL.TADISTILL.DECAY.SCHEDULE", "step"),
        *("MODEL.TADISTILL.DECAY.STEPS", [0.5], "MODEL.TADISTILL.DECAY.GAMMA", 0.2),
    )
    model, _ = run(DistillationDecayHook(cfg), 0, 5)
    assert model.weights == pytest.approx([1.0, 1.0, 0.2, 0.2, 0.2])


@pytest.mark.parametrize(
    ("key", "value", "others"),
    [
        ("SCHEDULE", "exponential", ()),
        ("STEPS", [0.9, 0.1], ("MODEL.TADISTILL.DECAY.SCHEDULE", "step")),
        ("STEPS", [], ("MODEL.TADISTILL.DECAY.SCHEDULE", "step")),
        ("GAMMA", 1.5, ("MODEL.TADISTILL.DECAY.SCHEDULE", "step")),
    ],
)
def test_a_wrong_value_is_named_with_its_key(key, value, others):
    cfg = student_cfg(None, f"MODEL.TADISTILL.DECAY.{key}", value, *others)
    with pytest.raises(ConfigError) as error:
        DistillationDecayHook(cfg)
    assert f"MODEL.TADISTILL.DECAY.{key} is {value!r}" in str(error.value)


def test_a_real_model_listens_to_it_without_a_warning(teacher_files, tadistill_log):
    model = build(student_cfg(teacher_files))
    tadistill_log.clear()
    _, trainer = run(DistillationDecayHook(), 0, 3, model)
    histories = trainer.storage.histories()
    losses = [value for value, _ in histories["loss_tad_feature"].values()]
    assert losses[0] > 0
    assert losses == [losses[0], 0.5 * losses[0], 0.0]  # the trainer's learning rate is zero
    assert len(histories["tad/gate_logit"].values()) == 2
    assert not [r for r in tadistill_log.records if r.levelname == "WARNING"]


def test_a_plain_detector_is_refused_before_any_step():
    def data():
        raise AssertionError("a batch was asked for")
        yield

    model = build(plain_cfg())
    trainer = SimpleTrainer(model, data(), torch.optim.SGD(model.parameters(), lr=0.1))
    trainer.register_hooks([DistillationDecayHook()])
    with pytest.raises(ConfigError) as error:
        trainer.train(0, 3)
    assert "DistillationDecayHook was given a trainer of a GeneralizedRCNN" in str(error.value)
    assert "MODEL.META_ARCHITECTURE" in str(error.value)


def test_without_a_teacher_there_are_no_shares_to_write():
    model, trainer = run(DistillationDecayHook(), 0, 2, build(student_cfg(None)))
    assert model.teacher is None
    names = trainer.storage.histories()
    assert "loss_cls" in names
    assert not [name for name in names if "tad" in name]
