"""What cannot be distilled is refused when the model is built."""

import pytest
import torch
from detectron2.modeling import GeneralizedRCNN
from detectron2.modeling.box_regression import Box2BoxTransform, Box2BoxTransformLinear
from distilled import INSTANCE_GATE, check_gradients, distilled
from tiny import batch, build, save_teacher, source, step, student_cfg, teacher_cfg, term_weights
from torch import nn

from tadistill import TADistillRCNN, export_student
from tadistill.errors import ConfigError
from tadistill.options import BoxOptions, DistillationOptions
from tadistill.teacher import build_teacher

WITHOUT_P2 = (
    *("MODEL.FPN.IN_FEATURES", ["res3", "res4", "res5"]),
    *("MODEL.RPN.IN_FEATURES", ["p3", "p4", "p5", "p6"]),
    *("MODEL.ROI_HEADS.IN_FEATURES", ["p3", "p4", "p5"]),
    *("MODEL.ANCHOR_GENERATOR.SIZES", [[20], [32], [64], [96]]),
)


class TestWhatCannotBeDistilled:
    def test_another_number_of_classes(self, teacher_files):
        teacher = build_teacher(student_cfg(teacher_files))
        student = student_cfg(None, "MODEL.ROI_HEADS.NUM_CLASSES", 4)
        kwargs = TADistillRCNN.from_config(student)
        with pytest.raises(ConfigError, match="teacher has 3 classes and the student 4"):
            TADistillRCNN(**{**kwargs, "teacher": teacher})

    def test_a_forward_that_a_distilled_step_would_pass_by(self, teacher_files):
        class Mine(GeneralizedRCNN):
            def forward(self, batched_inputs):
                return {**super().forward(batched_inputs), "loss_mine": 1.0}

        class Both(TADistillRCNN, Mine):
            pass

        cfg = student_cfg(teacher_files)
        with pytest.raises(ConfigError, match=r"Both inherits .*Mine\.forward, which a distilled"):
            Both(cfg)
        cfg.MODEL.TADISTILL.ENABLED = False
        Both(cfg)

        class Around(Both):
            def forward(self, batched_inputs):
                return {**super().forward(batched_inputs), "loss_mine": 1.0}

        cfg.MODEL.TADISTILL.ENABLED = True
        assert step(Around(cfg), batch())["loss_mine"] == 1.0

    def test_another_teacher_for_a_model_that_is_built(self, teacher_files):
        """A module of that name would become a part of the student, and teach nothing."""
        model = distilled(teacher_files)
        with pytest.raises(AttributeError, match="teacher cannot be set: build another"):
            model.teacher = build_teacher(student_cfg(teacher_files)).model
        assert not any(name.startswith("teacher") for name in model.state_dict())

    @pytest.mark.parametrize("name", ["adapters", "balance"])
    def test_another_part_in_the_place_of_what_distils(self, teacher_files, name):
        class Mine(TADistillRCNN):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                setattr(self, name, nn.Linear(2, 2))

        cfg = student_cfg(teacher_files, "MODEL.TADISTILL.BALANCE.ENABLED", True)
        with pytest.raises(ConfigError, match=f"{name} is the name of what the distillation"):
            Mine(cfg)
        model = build(cfg)
        setattr(model, name, nn.Sequential(getattr(model, name)))  # as wrappers do
        setattr(model, name, getattr(model, name)[0])
        step(model, batch())

    @pytest.mark.parametrize("name", ["adapters", "balance"])
    def test_a_method_of_the_name_of_what_distils(self, teacher_files, name):
        mine = type("Mine", (TADistillRCNN,), {name: lambda self: None})
        with pytest.raises(ConfigError, match=f"{name} is the name of what the distillation"):
            mine(student_cfg(teacher_files, "MODEL.TADISTILL.BALANCE.ENABLED", True))
        mine(student_cfg(None))

    @pytest.mark.parametrize("value", [0.5, nn.Linear(2, 2)], ids=["number", "module"])
    def test_but_that_name_is_ones_own_where_there_is_no_balance(
        self, teacher_files, tmp_path, value
    ):
        model = distilled(teacher_files)
        model.balance = value
        step(model, batch())
        weights, _ = export_student(model, student_cfg(teacher_files), str(tmp_path))
        has_it = "balance.weight" in torch.load(weights)["model"]
        assert has_it == isinstance(value, nn.Module)

    def test_proposals_with_fields_that_the_teachers_do_not_have(self, model, monkeypatch):
        rpn = model.proposal_generator
        as_it_is = rpn.forward

        def with_levels(*inputs):
            proposals, losses = as_it_is(*inputs)
            for image in proposals:
                image.level = torch.zeros(len(image))
            return proposals, losses

        monkeypatch.setattr(rpn, "forward", with_levels)
        with pytest.raises(ConfigError, match=r"do not have \(level\), .*SOURCE to \"student\""):
            step(model, batch())

    @pytest.mark.parametrize("model_name", ["student", "teacher"])
    @pytest.mark.parametrize("opts", [(), (*INSTANCE_GATE, *term_weights(1, 0, 1))])
    def test_a_box_head_without_a_logit_for_the_background(self, teacher_files, model_name, opts):
        def cut(roi_heads):
            predictor = roi_heads.box_predictor
            predictor.register_forward_hook(lambda module, inputs, out: (out[0][:, :-1], out[1]))
            predictor.losses = lambda outputs, sampled: {"loss_cls": outputs[0].sum()}

        model = distilled(teacher_files, *opts)
        cut({"student": model, "teacher": model.teacher}[model_name].roi_heads)
        student, teacher = (3, 4) if model_name == "student" else (4, 3)
        message = f"head gives {student} logits for 3 classes, the teacher's {teacher}; .*WEIGHT to"
        with pytest.raises(ConfigError, match=message):
            step(model, batch())
        unread = distilled(teacher_files, *term_weights(1, 0, 1))
        cut(unread.roi_heads)
        step(unread, batch())

    def test_images_without_ground_truth(self, model):
        inputs = batch()
        del inputs[1]["instances"]
        with pytest.raises(ConfigError, match="has no 'instances', its ground truth: give"):
            step(model, inputs)
        assert len(model.eval()(inputs)) == len(inputs)

    @pytest.mark.parametrize("method", ["get_deltas", "apply_deltas", None])
    def test_boxes_that_the_student_codes_in_another_way(self, teacher_files, method):
        kwargs = TADistillRCNN.from_config(student_cfg(teacher_files))
        predictor = kwargs["roi_heads"].box_predictor
        if method is None:
            predictor.box2box_transform = Box2BoxTransformLinear()
        else:
            own = type("Own", (Box2BoxTransform,), {method: lambda *boxes: boxes[0]})
            predictor.box2box_transform = own((1, 1, 1, 1))
        with pytest.raises(ConfigError, match=r"codes its boxes with .*BOX\.WEIGHT to 0\.0"):
            TADistillRCNN(**kwargs)
        options = DistillationOptions(box=BoxOptions(0.0))
        TADistillRCNN(**{**kwargs, "options": options})

    def test_a_level_of_a_stride_that_the_teacher_does_not_have(self, tmp_path):
        with pytest.raises(ConfigError) as error:
            distilled(save_teacher(teacher_cfg(*WITHOUT_P2), tmp_path))
        assert "MODEL.TADISTILL.FEATURE.LEVELS" in str(error.value)
        assert "level p2 (stride 4) has no counterpart" in str(error.value)

    def test_an_anchor_mask_of_a_level_without_anchors(self, teacher_files):
        opts = ("MODEL.RPN.IN_FEATURES", ["p2", "p3", "p4"])
        opts += ("MODEL.ANCHOR_GENERATOR.SIZES", [[20], [28], [36]])
        opts += ("MODEL.TADISTILL.FEATURE.MASK", "anchor")
        with pytest.raises(ConfigError, match=r"no anchors on \['p5', 'p6'\]"):
            distilled(teacher_files, *opts)
        levels = ("MODEL.TADISTILL.FEATURE.LEVELS", ["p2", "p4"])
        step(distilled(teacher_files, *opts, *levels), batch())

    def test_an_instance_gate_without_whom_a_region_is_matched_to(self, teacher_files, monkeypatch):
        """Of ROI heads that label proposals in their own way: known in the first step alone."""
        model = distilled(teacher_files, *INSTANCE_GATE)
        as_it_is = model.roi_heads.label_and_sample_proposals

        def without_index(proposals, targets):
            sampled = as_it_is(proposals, targets)
            for instances in sampled:
                instances.remove("gt_index")
            return sampled

        monkeypatch.setattr(model.roi_heads, "label_and_sample_proposals", without_index)
        with pytest.raises(ConfigError, match="do not copy the ground truth's field gt_index"):
            step(model, batch())

    def test_a_level_that_the_student_does_not_have(self, teacher_files):
        with pytest.raises(ConfigError, match=r"FEATURE\.LEVELS names \['p7'\]"):
            distilled(teacher_files, "MODEL.TADISTILL.FEATURE.LEVELS", ["p3", "p7"])

    @pytest.mark.parametrize(
        "opts",
        [term_weights(0, 1, 1), ("MODEL.TADISTILL.FEATURE.LEVELS", ["p3", "p4", "p5"])],
        ids=["no feature term", "only levels that both have"],
    )
    def test_levels_that_are_not_compared_need_no_counterpart(self, tmp_path, opts):
        model = distilled(save_teacher(teacher_cfg(*WITHOUT_P2), tmp_path), *opts)
        step(model, batch())
        check_gradients(model)

    @pytest.mark.parametrize(
        ("opts", "message"),
        [
            (("MODEL.ROI_HEADS.NAME", "CascadeROIHeads"), "cascade"),
            (("MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES", True), "TRAIN_ON_PRED_BOXES"),
            (("MODEL.PROPOSAL_GENERATOR.NAME", "PrecomputedProposals"), "PROPOSAL_GENERATOR"),
        ],
    )
    def test_a_student_whose_box_head_cannot_be_compared(self, teacher_files, opts, message):
        # What Detectron2 itself asks of a cascade.
        opts += ("MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", True)
        opts += ("MODEL.ROI_HEADS.IOU_THRESHOLDS", [0.5])
        with pytest.raises(ConfigError, match=message):
            distilled(teacher_files, *opts)

    def test_shared_proposals_with_a_teacher_that_has_no_rpn(self, tmp_path):
        files = save_teacher(
            teacher_cfg("MODEL.PROPOSAL_GENERATOR.NAME", "PrecomputedProposals"), tmp_path
        )
        with pytest.raises(ConfigError, match=r"PROPOSALS\.SOURCE must be \"student\""):
            distilled(files)
        step(distilled(files, *source("student")), batch())
