"""Teachers that are built otherwise than the student."""

import pytest
import torch
from distilled import check_gradients, distilled
from tiny import batch, plain_cfg, save_teacher, source, step, student_cfg, teacher_cfg

from tadistill.teacher import build_teacher


class TestTeachersUnlikeTheStudent:
    def teacher_model(self, tmp_path, *opts, seed=7):
        return save_teacher(teacher_cfg(*opts), tmp_path, seed=seed)

    def test_adapters_lead_to_the_teachers_channels_even_if_they_are_the_same(
        self, teacher_files, tmp_path
    ):
        wider = distilled(teacher_files)
        equal = distilled(self.teacher_model(tmp_path, "MODEL.FPN.OUT_CHANNELS", 8))
        for model, channels in ((wider, 16), (equal, 8)):
            shapes = {tuple(a.weight.shape) for a in model.adapters.values()}
            assert shapes == {(channels, 8, 1, 1)}
            assert list(model.adapters) == ["p2", "p3", "p4", "p5", "p6"]
            assert all(loss.isfinite() for loss in step(model, batch()).values())

    @pytest.mark.parametrize("mask", ["box", "anchor", "whole"])
    def test_each_mask_teaches_something_else(self, teacher_files, mask):
        model = distilled(teacher_files, "MODEL.TADISTILL.FEATURE.MASK", mask)
        loss = step(model, batch())["loss_tad_feature"]
        check_gradients(model)
        assert loss != step(distilled(teacher_files), batch())["loss_tad_feature"]

    def test_an_anchor_mask_has_the_anchors_of_the_students_rpn(self, teacher_files, monkeypatch):
        seen = []
        monkeypatch.setattr(
            "tadistill.distillation.anchor_mask",
            lambda boxes, anchors: seen.append(anchors) or torch.ones(2, *anchors.shape[:2]),
        )
        model = distilled(
            teacher_files,
            *("MODEL.TADISTILL.FEATURE.MASK", "anchor"),
            *("MODEL.TADISTILL.FEATURE.LEVELS", ["p3", "p5"]),
        )
        step(model, batch())
        sizes = list(model.proposal_generator.anchor_generator.cell_anchors.buffers())
        for anchors, stride, around in zip(seen, (8, 32), (sizes[1], sizes[3]), strict=True):
            assert anchors.shape == (96 // stride, 96 // stride, 3, 4)
            # Detectron2's lie around the corners of the cells, unless it is told otherwise.
            corner = torch.tensor([2.0, 1.0, 2.0, 1.0]) * stride
            torch.testing.assert_close(anchors[1, 2], corner + around)

    def test_only_the_chosen_levels_are_compared(self, teacher_files):
        model = distilled(teacher_files, "MODEL.TADISTILL.FEATURE.LEVELS", ["p3", "p4"])
        assert list(model.adapters) == ["p3", "p4"]
        step(model, batch())
        check_gradients(model)

    def test_it_sees_images_with_its_own_pixel_mean_and_std(self, model):
        seen = []
        model.teacher.backbone.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
        inputs = batch()
        step(model, inputs)
        mean, std = (torch.tensor(s).view(3, 1, 1) for s in ([100, 105, 111], [50, 51, 52]))
        expected = (inputs[0]["image"] - mean) / std
        torch.testing.assert_close(seen[0][0, :, :67, :93], expected)

    def test_an_rgb_teacher_of_a_bgr_student_is_given_rgb(self, teacher_files, tmp_path):
        rgb = self.teacher_model(tmp_path, "INPUT.FORMAT", "RGB")
        features = []
        for files in (teacher_files, rgb):
            seen = []
            model = distilled(files)
            model.teacher.backbone.register_forward_pre_hook(
                lambda m, args, seen=seen: seen.append(args[0])
            )
            step(model, batch())
            features.append(seen[0])
        flipped = [{**x, "image": x["image"].flip(0)} for x in batch()]
        own_format = build_teacher(student_cfg(teacher_files)).images(flipped).tensor
        assert torch.equal(features[1], own_format)
        assert not torch.equal(features[0], features[1])

    @pytest.mark.parametrize("agnostic_S", [False, True])
    @pytest.mark.parametrize("agnostic_T", [False, True])
    def test_class_agnostic_and_class_specific_heads_mix(self, tmp_path, agnostic_S, agnostic_T):
        key = "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG"
        files = self.teacher_model(tmp_path, key, agnostic_T)
        model = distilled(files, key, agnostic_S, "MODEL.TADISTILL.BOX.GATE", "none")
        losses = step(model, batch())
        assert losses["loss_tad_box"] > 0
        check_gradients(model)

    def test_a_padding_of_its_own_does_not_shift_the_features(self, teacher_files):
        alike = distilled(teacher_files, *source("student"))
        other = distilled(teacher_files, *source("student"))
        other.teacher.backbone._size_divisibility = 128
        seen = []
        other.teacher.backbone.register_forward_pre_hook(lambda m, a: seen.append(a[0].shape))
        losses = step(other, batch())
        assert seen == [(2, 3, 128, 128)]
        # Padding with zeros changes only what the convolutions see of the border.
        expected = step(alike, batch())["loss_tad_feature"]
        torch.testing.assert_close(losses["loss_tad_feature"], expected, rtol=0.2, atol=0.0)
        check_gradients(other)

    def test_an_identical_twin_teaches_nothing_through_head_terms(self, tmp_path):
        # Teacher and student with the same weights: no gate opens and ungated terms are zero.
        cfg = plain_cfg("MODEL.RESNETS.NORM", "FrozenBN")
        files = save_teacher(cfg, tmp_path)
        model = distilled(
            files,
            *("MODEL.RESNETS.NORM", "FrozenBN"),
            *("MODEL.TADISTILL.LOGIT.GATE", "none", "MODEL.TADISTILL.BOX.GATE", "none"),
        )
        model.load_state_dict(model.teacher.state_dict(), strict=False)
        losses = step(model, batch())
        assert abs(losses["loss_tad_logit"].item()) < 1e-6
        assert losses["loss_tad_box"].item() < 1e-5
        assert losses["loss_tad_feature"] > 0  # its adapters are not the identity
