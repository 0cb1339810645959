"""An inheriting start: what of the teacher the student begins with, and when."""

import pytest
import torch
from tiny import (
    batch,
    build,
    clone,
    liven,
    plain_cfg,
    same_tensors,
    save_teacher,
    source,
    step,
    student_cfg,
    teacher_cfg,
    term_weights,
)
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

import tadistill
from tadistill.data import register_coco
from tadistill.engine import TADistillTrainer
from tadistill.errors import ConfigError

NECK_AND_HEADS = ("backbone.fpn_", "proposal_generator.", "roi_heads.")


def student(files, *opts):
    return build(student_cfg(files, "MODEL.FPN.NORM", "BN", *opts), seed=1)


def test_of_a_teacher_of_the_same_shapes_are_the_whole_neck_and_heads(twin_files):
    model = student(twin_files)
    before = clone(model.state_dict())
    inherited = tadistill.inherit_from_teacher(model)
    after, teacher = model.state_dict(), model.teacher.state_dict()

    assert inherited == [name for name in teacher if name.startswith(NECK_AND_HEADS)]
    assert any(name.endswith("norm.running_var") for name in inherited)
    for name in after:
        expected = teacher if name in inherited else before
        assert torch.equal(after[name], expected[name]), name
    # The student had other weights in all layers, and keeps its own body and adapters.
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert {
        name for name in inherited if name.endswith("weight") and ".norm" not in name
    } <= changed
    assert any(name.startswith("backbone.bottom_up.") for name in set(after) - set(inherited))
    assert any(name.startswith("adapters.") for name in set(after) - set(inherited))


def test_of_a_teacher_that_is_to_be_folded_it_is_the_same(twin_files):
    folded = student(twin_files, "MODEL.TADISTILL.TEACHER.FOLD_BN", True)
    plain = student(twin_files)
    assert tadistill.inherit_from_teacher(folded) == tadistill.inherit_from_teacher(plain)
    assert same_tensors(folded.state_dict(), plain.state_dict())
    folded.distillation_weight = 1.0
    step(folded, batch())
    assert len(folded.teacher.state_dict()) < len(plain.teacher.state_dict())


def test_by_a_student_whose_parts_were_compiled_it_is_the_same(twin_files):
    compiled, plain = (student(twin_files) for _ in range(2))
    compiled.backbone = torch.compile(compiled.backbone)
    compiled.roi_heads.box_head = torch.compile(compiled.roi_heads.box_head)
    assert tadistill.inherit_from_teacher(compiled) == tadistill.inherit_from_teacher(plain)
    pairs = zip(compiled.state_dict().values(), plain.state_dict().values(), strict=True)
    assert all(torch.equal(mine, theirs) for mine, theirs in pairs)


def test_a_layer_of_another_shape_stays_whole_as_it_is_and_is_named(tmp_path, tadistill_log):
    # Of the box head fc1 alone depends on the pooler's resolution; of the RPN, with three ratios
    # to a level instead of two, the predictors, but not the convolution before them.
    ratios = ("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS", [[0.5, 1.0]])
    files = save_teacher(
        plain_cfg("MODEL.FPN.NORM", "BN", "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION", 2, *ratios),
        tmp_path,
    )
    model = student(files)
    before = clone(model.state_dict())
    inherited = tadistill.inherit_from_teacher(model)
    after = model.state_dict()

    left = {name for name in after if name.startswith(NECK_AND_HEADS) and name not in inherited}
    rpn_head = "proposal_generator.rpn_head."
    assert left == {
        *("roi_heads.box_head.fc1.weight", "roi_heads.box_head.fc1.bias"),  # whose shape agrees
        *(f"{rpn_head}objectness_logits.{kind}" for kind in ("weight", "bias")),
        *(f"{rpn_head}anchor_deltas.{kind}" for kind in ("weight", "bias")),
    }
    assert f"{rpn_head}conv.weight" in inherited
    assert all(torch.equal(after[name], before[name]) for name in left)
    text = tadistill_log.records[-1].getMessage()
    assert f"inherits {len(inherited)} of the {len(inherited) + 6} tensors" in text
    assert "roi_heads.box_head.fc1.weight ((12, 72), in the teacher (12, 32))" in text


def test_a_norm_belongs_to_its_convolution(tmp_path):
    # The lateral convolutions of a narrower teacher's body end in as many channels.
    files = save_teacher(
        plain_cfg("MODEL.FPN.NORM", "BN", "MODEL.RESNETS.RES2_OUT_CHANNELS", 4), tmp_path
    )
    inherited = tadistill.inherit_from_teacher(student(files))
    assert "backbone.fpn_output2.norm.weight" in inherited
    assert not any("fpn_lateral" in name for name in inherited)


def test_parameters_stay_the_same_objects_so_that_an_optimizer_trains_them(twin_files):
    model = student(twin_files)
    before = {name: id(parameter) for name, parameter in model.named_parameters()}
    tadistill.inherit_from_teacher(model)
    assert {name: id(parameter) for name, parameter in model.named_parameters()} == before
    model.roi_heads.box_predictor.cls_score.bias.data.add_(1.0)
    teacher_bias = model.teacher.roi_heads.box_predictor.cls_score.bias
    assert not torch.equal(model.roi_heads.box_predictor.cls_score.bias, teacher_bias)


def test_a_teacher_of_other_widths_has_nothing_to_inherit(teacher_files):
    model = build(student_cfg(teacher_files))
    before = clone(model.state_dict())
    with pytest.raises(ConfigError) as error:
        tadistill.inherit_from_teacher(model)
    assert "MODEL.TADISTILL.INHERIT is True, but no layer" in str(error.value)
    assert "backbone.fpn_lateral2.weight ((8, 8, 1, 1), in the teacher (16, 8, 1, 1))" in str(
        error.value
    )
    assert same_tensors(model.state_dict(), before)


def test_without_a_teacher_there_is_nothing_to_inherit():
    for model in (build(student_cfg(None)), build(plain_cfg())):
        with pytest.raises(ConfigError, match="no teacher to inherit from"):
            tadistill.inherit_from_teacher(model)


def test_a_model_of_a_distributed_training_is_unwrapped(twin_files, tmp_path):
    address = (tmp_path / "rendezvous").as_uri()
    distributed.init_process_group("gloo", init_method=address, rank=0, world_size=1)
    try:
        model = student(twin_files)
        tadistill.inherit_from_teacher(DistributedDataParallel(model))
    finally:
        distributed.destroy_process_group()
    name = "roi_heads.box_predictor.cls_score.weight"
    assert torch.equal(model.state_dict()[name], model.teacher.state_dict()[name])


class TestAlone:
    """A row of the ablation: the start is inherited, and nothing is distilled."""

    OPTS = ("MODEL.TADISTILL.INHERIT", True, *term_weights(0, 0, 0), *source("student"))

    def test_builds_a_teacher_that_no_step_asks(self, twin_files, monkeypatch):
        model = student(twin_files, *self.OPTS)
        monkeypatch.setattr(model.teacher.backbone, "forward", None)
        tadistill.inherit_from_teacher(model)
        stock = build(plain_cfg("MODEL.FPN.NORM", "BN"), seed=5)
        stock.load_state_dict(model.state_dict())
        assert same_tensors(step(model, batch()), step(stock, batch()))

    def test_switched_off_with_all_distillation_it_is_the_baseline(self, twin_files):
        model = student(twin_files, *self.OPTS, "MODEL.TADISTILL.ENABLED", False)
        assert model.teacher is None


@pytest.mark.usefixtures("registered_datasets")
class TestInATraining:
    @pytest.fixture
    def cfg(self, coco_files, twin_files, tmp_path):
        register_coco([("mine", str(coco_files.annotations), str(coco_files.images))])
        return student_cfg(
            twin_files,
            *("MODEL.FPN.NORM", "BN", "DATASETS.TRAIN", ("mine",), "DATASETS.TEST", ()),
            *("SOLVER.MAX_ITER", 2, "SOLVER.STEPS", (), "OUTPUT_DIR", str(tmp_path / "run")),
            *("MODEL.TADISTILL.INHERIT", True),
        )

    def trainer(self, cfg, resume=False):
        trainer = TADistillTrainer(cfg)
        trainer.resume_or_load(resume=resume)
        return trainer

    def test_it_happens_after_the_students_own_weights_are_loaded(self, cfg, tmp_path):
        start = liven(build(plain_cfg("MODEL.FPN.NORM", "BN"), seed=9), seed=9).state_dict()
        cfg.MODEL.WEIGHTS = str(tmp_path / "start.pth")
        torch.save({"model": start}, cfg.MODEL.WEIGHTS)
        model = self.trainer(cfg).model
        teacher = model.teacher.state_dict()
        for name, tensor in model.student.state_dict().items():
            expected = teacher if name.startswith(NECK_AND_HEADS) else start
            assert torch.equal(tensor, expected[name]), name

    def test_it_happens_where_there_is_nothing_to_resume_from(self, cfg):
        model = self.trainer(cfg, resume=True).model
        name = "roi_heads.box_head.fc1.weight"
        assert torch.equal(model.state_dict()[name], model.teacher.state_dict()[name])

    def test_one_that_was_made_is_not_warned_of(self, cfg, tadistill_log):
        self.trainer(cfg).train()
        self.trainer(cfg, resume=True).train()  # and of a resumed training it lies behind
        assert "The student inherits" in tadistill_log.text
        assert "has not called" not in tadistill_log.text

    def test_it_does_not_happen_again_after_a_resume(self, cfg):
        trained = self.trainer(cfg)
        trained.train()
        resumed = self.trainer(cfg, resume=True)
        assert resumed.start_iter == 2
        assert same_tensors(resumed.model.state_dict(), trained.model.state_dict())
        name = "roi_heads.box_head.fc1.weight"
        assert not torch.equal(
            resumed.model.state_dict()[name], resumed.model.teacher.state_dict()[name]
        )

    @pytest.mark.parametrize("key", ["INHERIT", "ENABLED"])
    def test_it_does_not_happen_where_it_is_off_or_there_is_no_teacher(
        self, cfg, key, tadistill_log
    ):
        cfg.MODEL.TADISTILL[key] = False
        self.trainer(cfg)
        assert not any("inherits" in record.getMessage() for record in tadistill_log.records)

    def test_a_teacher_that_does_not_fit_is_an_error_before_the_first_step(self, cfg, tmp_path):
        wider = save_teacher(teacher_cfg("MODEL.FPN.NORM", "BN"), tmp_path)
        cfg.MODEL.TADISTILL.TEACHER.CONFIG_FILE = str(wider.config)
        cfg.MODEL.TADISTILL.TEACHER.WEIGHTS = str(wider.weights)
        with pytest.raises(ConfigError, match=r"TADISTILL\.INHERIT is True, but no layer"):
            self.trainer(cfg)
