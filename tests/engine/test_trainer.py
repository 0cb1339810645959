"""The trainer: decay as scheduled and after a resume, and the student at the end."""

import errno
import json
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from detectron2.engine import HookBase
from detectron2.engine.hooks import PeriodicCheckpointer
from detectron2.evaluation import COCOEvaluator, PascalVOCDetectionEvaluator
from detectron2.modeling import META_ARCH_REGISTRY, build_model
from detectron2.utils.env import seed_all_rng
from tiny import clone, plain_cfg, same_tensors, student_cfg

from tadistill import DistillationDecayHook, TADistillRCNN, add_tadistill_config
from tadistill.checkpoint import TrainingCheckpointer
from tadistill.data import register_coco
from tadistill.engine import TADistillTrainer
from tadistill.engine.nonfinite import explain_nonfinite
from tadistill.engine.teacher_classes import has_teacher
from tadistill.engine.trainer import ExportHook
from tadistill.errors import ConfigError

pytestmark = pytest.mark.usefixtures("registered_datasets")


@pytest.fixture
def cfg(coco_files, teacher_files, tmp_path):
    register_coco([("mine", str(coco_files.annotations), str(coco_files.images))])
    return student_cfg(
        teacher_files,
        *("DATASETS.TRAIN", ("mine",), "DATASETS.TEST", ()),
        *("SOLVER.MAX_ITER", 5, "SOLVER.CHECKPOINT_PERIOD", 2, "OUTPUT_DIR", str(tmp_path / "run")),
        *("SOLVER.STEPS", (), "MODEL.TADISTILL.DECAY.SCHEDULE", "cosine"),
    )


class Recorder(HookBase):
    """Notes iteration, weight and learning rate of each step; may break the training off."""

    def __init__(self, stop=None):
        self.seen, self._stop = [], stop

    def before_step(self):
        if self.trainer.iter == self._stop:
            raise KeyboardInterrupt
        trainer = self.trainer
        rate = trainer.optimizer.param_groups[0]["lr"]
        self.seen.append((trainer.iter, trainer.model.distillation_weight, rate))


def train(cfg, resume=False, stop=None):
    trainer = TADistillTrainer(cfg)
    trainer.resume_or_load(resume=resume)
    recorder = Recorder(stop)
    trainer.register_hooks([recorder])
    if stop is None:
        trainer.train()
    else:
        with pytest.raises(KeyboardInterrupt):
            trainer.train()
    return trainer, recorder.seen


def test_a_part_that_nobody_has_registered_is_named(cfg):
    cfg.MODEL.ROI_HEADS.NAME = "StandardROIHead"
    message = r"the config .* MODEL\.ROI_HEADS\.NAME is 'StandardROIHead' \('StandardROIHeads'\?\)"
    with pytest.raises(ConfigError, match=message):
        TADistillTrainer(cfg)


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (("MODEL.FPN.NORM", "SYNCBN"), "the config describes a model .*: KeyError: 'SYNCBN', at"),
        (("DATALOADER.SAMPLER_TRAIN", "Random"), "a data loader .*: ValueError: .*Random"),
        (("INPUT.RANDOM_FLIP", "yes"), "a data loader .*: ValueError: At least one of horiz"),
        (("INPUT.CROP.ENABLED", True, "INPUT.CROP.TYPE", "rel"), "a data loader .*rel"),
        (("SOLVER.BASE_LR", -0.1), r"SOLVER .* optimizer .*: ValueError: Invalid learning rate"),
        (("SOLVER.LR_SCHEDULER_NAME", "Cosine"), "SOLVER .* schedule .*: ValueError: Unknown LR"),
        (("SOLVER.WARMUP_METHOD", "slow"), "SOLVER .* schedule .*: ValueError: .*slow"),
    ],
)
def test_what_detectron2_stops_at_is_named(cfg, opts, message):
    cfg.merge_from_list(list(opts))
    with pytest.raises(ConfigError, match=message):
        TADistillTrainer(cfg)


def test_precise_bn_measures_no_balance(cfg):
    """At the end of a training that follows its teacher to the end."""
    cfg.merge_from_list(["MODEL.TADISTILL.DECAY.SCHEDULE", "constant", "SOLVER.MAX_ITER", 2])
    cfg.merge_from_list(["MODEL.TADISTILL.BALANCE.ENABLED", True])
    cfg.merge_from_list(["TEST.PRECISE_BN.ENABLED", True, "TEST.PRECISE_BN.NUM_ITER", 2])
    trainer, _ = train(cfg)
    assert trainer.iter == 2
    assert Path(cfg.OUTPUT_DIR, "student_final.pth").is_file()


def test_scales_of_another_distillation_are_not_begun_with(cfg, tmp_path):
    cfg.merge_from_list(["MODEL.TADISTILL.BALANCE.ENABLED", True, "SOLVER.MAX_ITER", 1])
    first, _ = train(cfg)
    assert first.model.balance.scales.all()
    cfg.MODEL.WEIGHTS = str(Path(cfg.OUTPUT_DIR, "model_final.pth"))
    resumed = TADistillTrainer(cfg)
    resumed.resume_or_load(resume=True)
    assert torch.equal(resumed.model.balance.scales, first.model.balance.scales)

    cfg.OUTPUT_DIR = str(tmp_path / "second")
    second = TADistillTrainer(cfg)
    second.resume_or_load(resume=False)
    assert not second.model.balance.scales.any()
    assert same_tensors(second.model.student.state_dict(), first.model.student.state_dict())


def test_the_weight_decays_by_its_schedule_also_after_a_resume(cfg, tmp_path):
    _, whole = train(cfg)
    assert [iteration for iteration, *_ in whole] == [0, 1, 2, 3, 4]
    weights = [1.0, 0.8535533905932737, 0.5, 0.14644660940672627, 0.0]
    assert [w for _, w, _ in whole] == pytest.approx(weights)

    cfg.OUTPUT_DIR = str(tmp_path / "interrupted")
    before_trainer, before = train(cfg, stop=2)
    assert before == whole[:2]
    assert not (tmp_path / "interrupted" / "student_final.pth").exists()

    resumed = TADistillTrainer(cfg)
    resumed.resume_or_load(resume=True)
    assert resumed.start_iter == 2
    assert same_tensors(resumed.model.state_dict(), before_trainer.model.state_dict())
    states = [t.optimizer.state_dict()["state"] for t in (resumed, before_trainer)]
    assert len(states[0]) == len(states[1]) > 100
    assert all(
        torch.equal(states[0][i]["momentum_buffer"], states[1][i]["momentum_buffer"])
        for i in states[0]
    )

    _, after = train(cfg, resume=True)
    assert after == whole[2:]
    assert (tmp_path / "interrupted" / "student_final.pth").exists()


def scalars(directory):
    """What was written of each iteration, in the order of the last writing; without times."""
    lines = {}
    for line in (directory / "metrics.json").read_text().splitlines():
        record = json.loads(line)
        times = ("time", "data_time", "rank_data_time", "eta_seconds")
        lines[record["iteration"]] = {k: v for k, v in record.items() if k not in times}
    return lines


def test_a_resumed_training_ends_and_writes_as_an_uninterrupted_one(cfg, tmp_path):
    cfg.SOLVER.MAX_ITER, cfg.SOLVER.CHECKPOINT_PERIOD = 46, 13
    seed_all_rng(cfg.SEED)
    whole, _ = train(cfg)

    cfg.OUTPUT_DIR = str(tmp_path / "interrupted")
    seed_all_rng(cfg.SEED)
    train(cfg, stop=30)
    seed_all_rng(cfg.SEED + 1)  # as if nobody had set a seed: it comes from the checkpoint
    resumed, steps = train(cfg, resume=True)
    assert steps[0][0] == 26
    assert resumed.seed == whole.seed
    assert same_tensors(*(clone(t.model.state_dict()) for t in (resumed, whole)))

    expected, found = (scalars(tmp_path / name) for name in ("run", "interrupted"))
    assert {iteration: found[iteration] for iteration in expected} == expected
    assert {"tad/gate_logit", "tad/decay", "loss_tad_feature", "lr"} <= set(found[39])


def test_a_resumed_training_goes_on_with_the_scales_that_it_had(cfg, tmp_path):
    """Measured at iterations 0, 6 and 12; broken off at 10, so that it goes on with those of 6."""
    cfg.SOLVER.MAX_ITER, cfg.SOLVER.CHECKPOINT_PERIOD = 14, 5
    cfg.MODEL.TADISTILL.BALANCE.ENABLED, cfg.MODEL.TADISTILL.BALANCE.PERIOD = True, 6
    seed_all_rng(cfg.SEED)
    whole, _ = train(cfg)

    cfg.OUTPUT_DIR = str(tmp_path / "interrupted")
    seed_all_rng(cfg.SEED)
    train(cfg, stop=11)
    seed_all_rng(cfg.SEED)
    resumed, steps = train(cfg, resume=True)
    assert steps[0][0] == 10
    assert same_tensors(*(clone(t.model.state_dict()) for t in (resumed, whole)))

    scales = [
        torch.load(tmp_path / "run" / f"model_{iteration:07d}.pth")["model"]["balance.scales"]
        for iteration in (4, 9)
    ]
    assert (scales[0] > 0).all()
    assert not torch.equal(*scales)
    student = torch.load(tmp_path / "interrupted" / "student_final.pth")["model"]
    assert not any("balance" in name or "adapters" in name for name in student)


def test_evaluations_in_between_change_nothing_in_the_training(cfg, tmp_path):
    states = []
    for period, name in ((0, "without"), (2, "with")):
        cfg.DATASETS.TEST, cfg.TEST.EVAL_PERIOD = ("mine",), period
        cfg.OUTPUT_DIR = str(tmp_path / name)
        seed_all_rng(cfg.SEED)
        states.append(clone(train(cfg)[0].model.state_dict()))
    assert same_tensors(*states)


def test_the_same_seed_gives_the_same_training(cfg, tmp_path):
    states = []
    for name in ("first", "second"):
        cfg.OUTPUT_DIR = str(tmp_path / name)
        seed_all_rng(cfg.SEED)
        trainer, _ = train(cfg)
        states.append(clone(trainer.model.state_dict()))
    assert same_tensors(*states)


def test_the_student_lies_beside_the_checkpoints_and_is_the_last_one(cfg, tmp_path):
    trainer, _ = train(cfg)
    directory = tmp_path / "run"
    final = torch.load(directory / "model_final.pth")["model"]
    assert same_tensors(final, clone(trainer.model.state_dict()))
    student = torch.load(directory / "student_final.pth")["model"]
    assert same_tensors(student, {k: v for k, v in final.items() if "adapters" not in k})
    assert {name for name in final if name not in student} == {
        f"adapters.p{level}.{kind}" for level in range(2, 7) for kind in ("weight", "bias")
    }
    assert (directory / "student_final.yaml").is_file()


def test_no_checkpoint_has_anything_of_the_teacher(cfg, tmp_path, teacher_files):
    train(cfg)
    checkpoints = list((tmp_path / "run").glob("*.pth"))
    assert len(checkpoints) == 4
    teacher = torch.load(teacher_files.weights)["model"]["roi_heads.box_head.fc1.weight"]
    for path in checkpoints:
        state = torch.load(path)["model"]
        assert not any("teacher" in name for name in state)
        assert all(tensor.shape != teacher.shape for tensor in state.values())


def test_a_plain_detector_trains_too_without_the_hook_of_the_decay(cfg, tmp_path):
    plain = plain_cfg(
        *("DATASETS.TRAIN", ("mine",), "DATASETS.TEST", (), "SOLVER.MAX_ITER", 2),
        *("OUTPUT_DIR", str(tmp_path / "plain")),
    )
    add_tadistill_config(plain)
    trainer = TADistillTrainer(plain)
    assert not any(isinstance(hook, DistillationDecayHook) for hook in trainer._hooks)
    trainer.train()
    student = torch.load(tmp_path / "plain" / "student_final.pth")["model"]
    assert same_tensors(student, clone(trainer.model.state_dict()))


def test_a_class_below_ours_is_distilled_and_exported_as_ours_is(cfg, tmp_path):
    class OwnRCNN(TADistillRCNN):
        pass

    META_ARCH_REGISTRY.register(OwnRCNN)
    try:
        cfg.MODEL.META_ARCHITECTURE = "OwnRCNN"
        assert has_teacher(cfg)
        trainer, seen = train(cfg)
    finally:
        META_ARCH_REGISTRY._obj_map.pop("OwnRCNN")
    assert isinstance(trainer.model, OwnRCNN)
    assert seen[-1][1] < seen[0][1] == 1
    assert "OwnRCNN" not in (tmp_path / "run" / "student_final.yaml").read_text()


def test_a_state_that_a_hook_makes_as_the_training_begins_is_looked_at(cfg):
    class Late(HookBase):
        def before_train(self):
            self.last = deque([1])

        def state_dict(self):
            return {"last": self.last}

    trainer = TADistillTrainer(cfg)
    trainer.register_hooks([Late()])
    with pytest.raises(ConfigError, match=r"the state of .*Late asks for collections\.deque"):
        trainer.train()
    assert trainer.iter == 0


def test_hooks_are_each_there_once_before_the_writers(cfg):
    names = [type(hook).__name__ for hook in TADistillTrainer(cfg)._hooks]
    for name in (DistillationDecayHook.__name__, ExportHook.__name__):
        assert names.count(name) == 1
        assert names.index("IterationTimer") < names.index(name) < names.index("PeriodicWriter")


def test_checkpoints_are_saved_and_read_by_one_that_writes_them_whole(cfg):
    trainer = TADistillTrainer(cfg)
    [periodic] = [h for h in trainer._hooks if isinstance(h, PeriodicCheckpointer)]
    assert periodic.checkpointer is trainer.checkpointer
    assert isinstance(trainer.checkpointer, TrainingCheckpointer)


@pytest.mark.parametrize(("iteration", "exported"), [(4, False), (5, True), (6, True)])
def test_the_student_is_exported_at_the_end_and_past_it(cfg, tmp_path, iteration, exported):
    hook = ExportHook(cfg)
    model = build_model(cfg)
    hook.trainer = SimpleNamespace(iter=iteration, max_iter=5, model=model)
    hook.after_train()
    assert (tmp_path / "run" / "student_final.pth").exists() is exported


def test_a_run_that_is_resumed_after_its_last_step_is_exported(cfg, tmp_path):
    train(cfg)
    student = tmp_path / "run" / "student_final.pth"
    before = torch.load(student)["model"]
    student.unlink()
    _, steps = train(cfg, resume=True)
    assert steps == []
    assert same_tensors(torch.load(student)["model"], before)


def test_pascal_voc_is_scored_in_its_own_way(cfg):
    evaluator = TADistillTrainer.build_evaluator(cfg, "voc_2007_test")
    assert isinstance(evaluator, PascalVOCDetectionEvaluator)


def test_other_datasets_are_scored_by_coco_in_a_folder_each(cfg, coco_files, tmp_path):
    register_coco([("more", str(coco_files.annotations), str(coco_files.images))])

    def folders():
        evaluators = [TADistillTrainer.build_evaluator(cfg, name) for name in cfg.DATASETS.TEST]
        assert all(isinstance(evaluator, COCOEvaluator) for evaluator in evaluators)
        return [Path(evaluator._output_dir) for evaluator in evaluators]

    inference = tmp_path / "run" / "inference"
    cfg.DATASETS.TEST = ("mine",)
    assert folders() == [inference]
    cfg.DATASETS.TEST = ("mine", "more")
    assert folders() == [inference / "mine", inference / "more"]

    given = TADistillTrainer.build_evaluator(cfg, "mine", str(tmp_path / "given"))
    assert given._output_dir == str(tmp_path / "given")


def test_where_nothing_whole_can_be_resumed_from_the_argument_is_named_once(cfg, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model_0000001.pth").touch()
    with pytest.raises(ConfigError) as error:
        TADistillTrainer(cfg).resume_or_load(resume=True)
    assert str(error.value).startswith("--resume: no checkpoint in OUTPUT_DIR")


def test_a_full_disk_is_said_to_be_that(cfg, tmp_path):
    class Writes(HookBase):
        def after_step(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    trainer = TADistillTrainer(cfg)
    trainer.register_hooks([Writes()])
    with pytest.raises(OSError, match=f"disk of OUTPUT_DIR {tmp_path}/run is full.*--resume"):
        trainer.train()


class TestALossThatIsNotFinite:
    @pytest.fixture
    def broken(self, cfg):
        """A trainer whose third step is not finite, and what it raises."""

        def breaks(name, value=float("nan")):
            trainer = TADistillTrainer(cfg)
            forward = trainer.model.forward

            def spoilt(batch):
                losses = forward(batch)
                return {**losses, name: losses[name] * value} if trainer.iter == 2 else losses

            trainer.model.forward = spoilt
            with pytest.raises(FloatingPointError) as error:
                trainer.train()
            return str(error.value)

        return breaks

    @pytest.mark.parametrize("name", ["loss_tad_logit", "loss_rpn_loc"])
    def test_is_named_with_iteration_and_images_and_the_batch_is_kept(
        self, broken, name, tmp_path, coco_files
    ):
        text = broken(name)
        assert text.startswith(f"iteration 2: {name} = nan\n")
        path = tmp_path / "run" / "nonfinite_2_rank0.pth"
        assert f"the batch is saved in {path}" in text
        assert "--resume goes on from" in text
        saved = torch.load(path, weights_only=True)
        assert saved["iteration"] == 2
        assert [k for k, v in saved["losses"].items() if v != v] == [name]
        assert len(saved["batch"]) == 2
        for image in saved["batch"]:
            assert image["file_name"] in text
            assert image["image"].shape[0] == 3
            assert image["gt_boxes"].shape == (len(image["gt_classes"]), 4)

    def test_after_a_checkpoint_says_what_to_go_on_from(self, broken, cfg, tmp_path):
        """Whose weights may be spoilt already: those of the step before."""
        cfg.SOLVER.CHECKPOINT_PERIOD = 1
        text = broken("loss_cls")
        assert f"--resume goes on from {tmp_path / 'run' / 'model_0000001.pth'}" in text
        assert f"an older checkpoint into {tmp_path / 'run' / 'last_checkpoint'}" in text
        (tmp_path / "run" / "last_checkpoint").write_text("model_0000000.pth")
        resumed = TADistillTrainer(cfg)
        resumed.resume_or_load(resume=True)
        assert resumed.start_iter == 1

    def test_in_the_last_step_leaves_no_student(self, cfg, tmp_path, tadistill_log):
        trainer = TADistillTrainer(cfg)
        spoil = HookBase()
        bias = trainer.model.roi_heads.box_predictor.cls_score.bias
        spoil.after_train = lambda: bias.data.fill_(float("nan"))
        trainer._hooks.insert(0, spoil)
        trainer.train()
        assert "There is no student_final.pth: the student has values that" in tadistill_log.text
        assert not (tmp_path / "run" / "student_final.pth").exists()

    def test_of_another_process_is_said_to_be_that(self, tmp_path):
        error = FloatingPointError("Loss became infinite or NaN")
        losses = {"loss_cls": torch.tensor(1.0)}
        text = str(explain_nonfinite(error, 3, losses, None, str(tmp_path)))
        assert "iteration 3: every loss of this process is finite" in text
        assert "--resume" not in text  # of which there is nothing here

    def test_of_a_term_says_what_a_teacher_in_float16_wants(self, tmp_path):
        """Whose activations can be beyond float16's range where the student's are not."""
        error, nan = FloatingPointError("Loss became infinite or NaN"), torch.tensor(torch.nan)
        text = str(explain_nonfinite(error, 0, {"loss_tad_feature": nan}, None, str(tmp_path)))
        assert "set MODEL.TADISTILL.TEACHER.DTYPE to float32" in text
        text = str(explain_nonfinite(error, 0, {"loss_cls": nan}, None, str(tmp_path)))
        assert "TEACHER.DTYPE" not in text

    def test_weights_that_have_diverged_are_reported_too(self, cfg, tmp_path):
        trainer = TADistillTrainer(cfg)
        with torch.no_grad():
            trainer.model.backbone.fpn_output2.weight.fill_(float("nan"))
        with pytest.raises(FloatingPointError) as error:
            trainer.train()
        assert "Predicted boxes or scores contain Inf/NaN" in str(error.value)
        assert torch.load(tmp_path / "run" / "nonfinite_0_rank0.pth")["losses"] == {}


def test_an_export_that_cannot_be_made_costs_no_evaluation(cfg, monkeypatch, tadistill_log):
    """As of a detector inside a wrapper, whose tensors have other names."""

    def refuse(model, cfg, directory):
        raise ConfigError("export_student was given a Wrapper")

    monkeypatch.setattr("tadistill.engine.trainer.export_student", refuse)
    cfg.DATASETS.TEST = ("mine",)
    TADistillTrainer(cfg).train()
    assert "There is no student_final.pth: export_student was given a" in tadistill_log.text
    assert "bbox/AP" in Path(cfg.OUTPUT_DIR, "metrics.json").read_text()
