"""The README's LazyConfig: a student and a teacher that are described by programs, not by YAML."""

import re
from pathlib import Path

import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.config import LazyCall as L
from detectron2.config import LazyConfig, instantiate
from detectron2.engine import SimpleTrainer
from detectron2.modeling import GeneralizedRCNN
from tiny import batch, liven, same_tensors, step

from tadistill import DistillationDecayHook, TADistillRCNN
from tadistill.errors import ConfigError
from tadistill.options import DistillationOptions, FeatureOptions, SharingOptions, TeacherOptions

README = Path(__file__).resolve().parents[1] / "README.md"

# Detectron2's own Mask R-CNN, without its masks and of a few thousand weights behind a ResNet-18.
DETECTOR = """
from detectron2 import model_zoo
from detectron2.layers import ShapeSpec

model = model_zoo.get_config("common/models/mask_rcnn_fpn.py").model
for mask in ("mask_in_features", "mask_pooler", "mask_head"):
    del model.roi_heads[mask]
model.backbone.bottom_up.stages.depth = 18
del model.backbone.bottom_up.stages.stride_in_1x1  # of bottleneck blocks
model.backbone.out_channels = model.proposal_generator.head.in_channels = {channels}
model.roi_heads.num_classes = 3
model.roi_heads.box_head.input_shape = ShapeSpec(channels={channels}, height=7, width=7)
model.roi_heads.box_head.fc_dims = [12]
model.roi_heads.box_predictor.input_shape = ShapeSpec(channels=12)
model.input_format = "{order}"
"""
RECIPE = "dataloader = lr_multiplier = optimizer = train = {}\n"


def distilled_text():
    marker = "test_lazy_config.py runs this. -->"
    return re.search(marker + r"\n```python\n(.*?)```", README.read_text(), re.S).group(1)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the files that the README names; the student's images are RGB."""
    monkeypatch.chdir(tmp_path)
    Path("student.py").write_text(DETECTOR.format(channels=8, order="RGB") + RECIPE)
    Path("teacher.py").write_text(DETECTOR.format(channels=16, order="BGR"))
    Path("distilled.py").write_text(distilled_text())
    torch.manual_seed(7)
    teacher = liven(instantiate(LazyConfig.load("teacher.py").model))
    torch.save({"model": teacher.state_dict()}, "teacher.pth")
    return tmp_path


def test_student_is_taught_by_the_weights_of_the_file(project):
    model = instantiate(LazyConfig.load("distilled.py").model).train()
    assert isinstance(model, TADistillRCNN)
    assert same_tensors(model.teacher.state_dict(), torch.load("teacher.pth")["model"])
    losses = step(model, batch())
    assert {"loss_tad_feature", "loss_tad_logit", "loss_tad_box"} <= losses.keys()
    assert losses["loss_tad_feature"] > 0


def test_teacher_sees_images_in_its_own_order(project):
    model = instantiate(LazyConfig.load("distilled.py").model).train()
    seen = []
    model.teacher.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    inputs = batch()
    step(model, inputs)
    flipped = [{**x, "image": x["image"].flip(0)} for x in inputs]
    assert torch.equal(seen[0], model.teacher.preprocess_image(flipped).tensor)


def test_it_trains_and_its_student_is_a_plain_one(project):
    model = instantiate(LazyConfig.load("distilled.py").model).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    trainer = SimpleTrainer(model, [batch()] * 3, optimizer)
    trainer.register_hooks([DistillationDecayHook()])
    trainer.train(0, 3)
    assert model.distillation_weight == 0
    torch.save({"model": model.student.state_dict()}, "student_final.pth")
    plain = instantiate(LazyConfig.load("student.py").model)
    assert type(plain) is GeneralizedRCNN
    DetectionCheckpointer(plain).load("student_final.pth")
    assert same_tensors(plain.state_dict(), model.student.state_dict())


def test_options_are_given_as_the_readme_gives_them(project, tadistill_log):
    cfg = LazyConfig.load("distilled.py").model
    cfg.options = L(DistillationOptions)(
        feature=L(FeatureOptions)(weight=0.0), sharing=L(SharingOptions)(source="student")
    )
    cfg.teacher.options = L(TeacherOptions)(fold_bn=True)
    model = instantiate(cfg).train()
    assert "loss_tad_feature" not in step(model, batch())
    assert "BatchNorm layers of the teacher" in tadistill_log.text


def test_an_inheriting_start_that_the_script_does_not_make_is_warned_of(project, tadistill_log):
    cfg = LazyConfig.load("distilled.py").model
    cfg.options.inherit = True
    model = instantiate(cfg).train()
    trainer = SimpleTrainer(model, [batch()], torch.optim.SGD(model.parameters(), lr=0.0))
    trainer.register_hooks([DistillationDecayHook()])
    trainer.train(0, 1)
    assert "has not called tadistill.inherit_from_teacher(model)" in tadistill_log.text


class TestRefused:
    def refusal(self, change):
        cfg = LazyConfig.load("distilled.py").model
        change(cfg)
        with pytest.raises(ConfigError) as error:
            instantiate(cfg)
        return str(error.value)

    def test_a_teacher_that_is_not_loaded_whole(self, project):
        weights = torch.load("teacher.pth")["model"]
        backbone = {k: v for k, v in weights.items() if k.startswith("backbone.")}
        torch.save({"model": backbone}, "teacher.pth")
        message = self.refusal(lambda cfg: None)
        assert message.startswith("model.teacher.weights: teacher.pth does not fill the model")
        assert message.endswith("Use the weights that this model was trained to.")

    def test_a_teacher_that_is_no_faster_rcnn(self, project):
        def linear(cfg):
            cfg.teacher.model = {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1}

        assert self.refusal(linear).startswith("model.teacher is a Linear; the teacher must be")

    def test_a_teacher_without_weights(self, project):
        def untrained(cfg):
            cfg.teacher.weights = ""

        assert self.refusal(untrained).startswith("model.teacher.weights is empty: give the path")

    def test_a_teacher_that_nobody_has_frozen(self, project):
        def plain(cfg):
            cfg.teacher = cfg.teacher.model

        message = self.refusal(plain)
        assert message.startswith(
            "the teacher is a GeneralizedRCNN; give the model and its weights"
        )

    def test_a_teacher_of_other_classes(self, project):
        def four(cfg):
            cfg.roi_heads.num_classes = 4

        assert "the teacher has 3 classes and the student 4" in self.refusal(four)

    def test_images_in_another_order_than_the_teacher_was_told(self, project):
        def untold(cfg):
            del cfg.teacher.student_format

        message = self.refusal(untold)
        assert message.startswith("the student's input_format is 'RGB', but its teacher expects")
        assert "in 'BGR'" in message
