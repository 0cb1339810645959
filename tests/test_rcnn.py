"""TADistillRCNN: a plain student where nothing is distilled, and a teacher that stays apart."""

import copy
import itertools

import pytest
import torch
from detectron2.modeling import GeneralizedRCNN
from detectron2.structures import BitMasks
from detectron2.utils.env import seed_all_rng
from detectron2.utils.events import EventStorage
from tiny import (
    batch,
    build,
    clone,
    gradients,
    liven,
    plain_cfg,
    same_detections,
    same_tensors,
    save_teacher,
    source,
    step,
    student_cfg,
    teacher_cfg,
    term_weights,
)

from tadistill import TADistillRCNN
from tadistill.errors import ConfigError
from tadistill.teacher import build_teacher

ALL_TERMS = [(f, c, b) for f in (0, 1) for c in (0, 1) for b in (0, 1)]
SOURCES = ["union", "student", "teacher"]
# All combinations but the one in which distillation is off.
DISTILLED = [
    (weights, name)
    for weights, name in itertools.product(ALL_TERMS, SOURCES)
    if any(weights) or name != "student"
]
INSTANCE_GATE = ("MODEL.TADISTILL.FEATURE.GATE", "instance")
WITHOUT_P2 = (
    *("MODEL.FPN.IN_FEATURES", ["res3", "res4", "res5"]),
    *("MODEL.RPN.IN_FEATURES", ["p3", "p4", "p5", "p6"]),
    *("MODEL.ROI_HEADS.IN_FEATURES", ["p3", "p4", "p5"]),
    *("MODEL.ANCHOR_GENERATOR.SIZES", [[20], [32], [64], [96]]),
)


@pytest.fixture
def model(teacher_files):
    """A distilled student, at w = 1."""
    model = build(student_cfg(teacher_files))
    model.distillation_weight = 1.0
    return model


def distilled(teacher_files, *opts, weight=1.0):
    model = build(student_cfg(teacher_files, *opts))
    model.distillation_weight = weight
    return model


def train(model, steps, seed=0, batches=None):
    """Losses, gradients and random state of some steps of SGD."""
    torch.manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    trace = []
    for i in range(steps):
        losses = step(model, batches[i] if batches else batch(seed=i), seed=None)
        trace.append((clone(losses), clone(gradients(model)), torch.get_rng_state()))
        optimizer.step()
    return trace


def forbid(monkeypatch, owner, name):
    def forbidden(*args, **kwargs):
        raise AssertionError(f"{name} was called")

    monkeypatch.setattr(owner, name, forbidden)


def count_calls(module):
    calls = []
    module.register_forward_hook(lambda *args: calls.append(1))
    return calls


class TestWithDistillationOff:
    @pytest.mark.parametrize(
        "opts",
        [("MODEL.TADISTILL.ENABLED", False), (*term_weights(0, 0, 0), *source("student"))],
        ids=["disabled", "weights zero"],
    )
    @pytest.mark.parametrize("norm", ["BN", "FrozenBN"])
    def test_three_steps_are_bitwise_those_of_generalized_rcnn(self, teacher_files, opts, norm):
        norm = ("MODEL.RESNETS.NORM", norm)
        ours = build(student_cfg(teacher_files, *norm, *opts))
        stock = build(plain_cfg(*norm))
        assert type(stock) is GeneralizedRCNN
        assert type(ours) is TADistillRCNN

        for mine, theirs in zip(train(ours, 3), train(stock, 3), strict=True):
            assert same_tensors(mine[0], theirs[0])
            assert same_tensors(mine[1], theirs[1])
            assert torch.equal(mine[2], theirs[2])
        assert same_tensors(ours.state_dict(), stock.state_dict())

    @pytest.mark.parametrize(
        "opts",
        [("MODEL.TADISTILL.ENABLED", False), (*term_weights(0, 0, 0), *source("student"))],
        ids=["disabled", "weights zero"],
    )
    def test_no_teacher_is_built_or_even_looked_for(self, opts):
        cfg = student_cfg(None, "MODEL.TADISTILL.ENABLED", True, *opts)
        cfg.MODEL.TADISTILL.TEACHER.CONFIG_FILE = "nowhere.yaml"
        assert build(cfg).teacher is None

    def test_a_mask_head_trains_as_in_generalized_rcnn(self, teacher_files):
        # With the student's proposals, the detection losses (mask included) are untouched.
        opts = ("MODEL.MASK_ON", True, "MODEL.ROI_MASK_HEAD.NAME", "MaskRCNNConvUpsampleHead")
        opts += ("MODEL.ROI_MASK_HEAD.NUM_CONV", 1, "MODEL.ROI_MASK_HEAD.CONV_DIM", 4)
        inputs = with_masks(batch())
        theirs = step(build(plain_cfg(*opts)), inputs)
        ours = step(distilled(teacher_files, *opts, *source("student")), inputs)
        assert theirs["loss_mask"] > 0
        assert all(torch.equal(ours[name], loss) for name, loss in theirs.items())


def with_masks(inputs):
    for x in inputs:
        height, width = x["instances"].image_size
        masks = torch.zeros(len(x["instances"]), height, width, dtype=torch.bool)
        for mask, (x0, y0, x1, y1) in zip(
            masks, x["instances"].gt_boxes.tensor.int().tolist(), strict=True
        ):
            mask[y0:y1, x0:x1] = True
        x["instances"].gt_masks = BitMasks(masks)
    return inputs


class TestTheStudentBesideATeacher:
    def test_starts_from_the_weights_and_random_state_it_would_have_alone(self, teacher_files):
        stock = build(plain_cfg())
        random_state = torch.get_rng_state()
        model = build(student_cfg(teacher_files))
        assert torch.equal(torch.get_rng_state(), random_state)
        plain = {k: v for k, v in model.state_dict().items() if not k.startswith("adapters.")}
        assert same_tensors(plain, stock.state_dict())

    def test_has_the_detection_losses_of_generalized_rcnn_on_its_own_proposals(self, teacher_files):
        theirs = step(build(plain_cfg()), batch())
        random_state = torch.get_rng_state()
        ours = step(distilled(teacher_files, *source("student")), batch())
        assert torch.equal(torch.get_rng_state(), random_state)
        assert same_tensors({k: v for k, v in ours.items() if "tad" not in k}, theirs)
        assert [k for k in ours if "tad" in k] == [
            "loss_tad_feature",
            "loss_tad_logit",
            "loss_tad_box",
        ]
        assert all(ours[k] > 0 for k in ours)

    def test_has_the_gradients_of_generalized_rcnn_when_the_weight_is_zero(self, teacher_files):
        stock, model = build(plain_cfg()), distilled(teacher_files, weight=0.0)
        step(stock, batch())
        step(model, batch())
        plain = {k: v for k, v in gradients(model).items() if not k.startswith("adapters.")}
        assert same_tensors(plain, gradients(stock))

    def test_is_sampled_from_other_proposals_when_they_are_shared(self, teacher_files):
        losses = {
            name: step(distilled(teacher_files, *term_weights(0, 0, 0), *source(name)), batch())
            for name in SOURCES
        }
        # The RPN is trained alike; the box head sees other regions.
        assert losses["union"]["loss_rpn_cls"] == losses["student"]["loss_rpn_cls"]
        values = [losses[name]["loss_cls"].item() for name in SOURCES]
        assert len(set(values)) == len(SOURCES)

    def test_runs_its_backbone_rpn_and_box_head_once_a_step(self, teacher_files):
        model = distilled(teacher_files, *INSTANCE_GATE)
        parts = [model.backbone, model.proposal_generator.rpn_head, model.roi_heads.box_head]
        calls = [count_calls(part) for part in [*parts, model.roi_heads.box_predictor]]
        step(model, batch())
        assert [len(c) for c in calls] == [1, 1, 1, 1]

    def test_both_heads_get_the_same_proposals_in_the_same_order(self, teacher_files):
        model = distilled(teacher_files)
        seen = []
        for roi_heads in (model.roi_heads, model.teacher.roi_heads):
            roi_heads.box_pooler.register_forward_pre_hook(
                lambda module, args: seen.append(args[1])
            )
        step(model, batch())
        boxes_S, boxes_T = ([b.tensor for b in boxes] for boxes in seen)
        assert len(boxes_S) == len(boxes_T) == 2
        assert sum(len(b) for b in boxes_S) == 64
        assert all(torch.equal(s, t) for s, t in zip(boxes_S, boxes_T, strict=True))


class TestTheTeacherStaysApart:
    def test_is_in_no_list_of_parameters_buffers_or_modules(self, model):
        teacher = {id(p) for p in model.teacher.parameters()}
        assert len(teacher) > 100
        assert not teacher & {id(p) for p in model.parameters()}
        assert not {id(b) for b in model.teacher.buffers()} & {id(b) for b in model.buffers()}
        assert not set(model.teacher.modules()) & set(model.modules())
        assert not any("teacher" in name for name, _ in model.named_modules())
        assert not any("teacher" in name for name in model.state_dict())

    def test_the_state_dict_is_the_plain_student_and_adapters(self, model):
        plain = build(plain_cfg()).state_dict()
        others = [name for name in model.state_dict() if name not in plain]
        assert set(plain) < set(model.state_dict())
        assert others
        assert all(name.startswith("adapters.") for name in others)

    def test_comes_whole_from_its_file(self, model, teacher_files):
        in_file = torch.load(teacher_files.weights)["model"]
        assert same_tensors(model.teacher.state_dict(), in_file)

    @pytest.mark.parametrize("name", SOURCES)
    def test_does_not_change_in_training(self, teacher_files, name):
        model = distilled(teacher_files, *source(name), *INSTANCE_GATE)
        before = clone(model.teacher.state_dict())
        assert any("running_mean" in key for key in before)
        student_before = clone(model.state_dict())
        train(model, 2)
        assert same_tensors(model.teacher.state_dict(), before)
        assert not same_tensors(model.state_dict(), student_before)

    def test_stays_in_eval_mode_when_the_student_trains(self, model):
        model.eval()
        model.train()
        assert model.training
        assert not any(module.training for module in model.teacher.modules())
        step(model, batch())
        assert not any(module.training for module in model.teacher.modules())

    def test_follows_the_student_to_another_dtype_and_device(self, model):
        model.double()
        tensors = [*model.teacher.parameters(), model.teacher.pixel_mean]
        assert {t.dtype for t in tensors} == {torch.float64}
        assert not any(p.requires_grad for p in model.teacher.parameters())
        model.to("meta")
        assert {t.device.type for t in model.teacher.state_dict().values()} == {"meta"}

    def test_a_deep_copy_has_a_teacher_of_its_own(self, model):
        twin = copy.deepcopy(model)
        assert twin.teacher is not model.teacher
        assert same_tensors(twin.teacher.state_dict(), model.teacher.state_dict())
        assert same_tensors(step(twin, batch()), step(model, batch()))
        twin.double()
        assert model.teacher.pixel_mean.dtype == torch.float32


def check_gradients(model):
    for name, gradient in gradients(model).items():
        assert gradient is not None, name
        assert gradient.isfinite().all(), name
    for parameter in model.teacher.parameters():
        assert parameter.grad is None
        assert not parameter.requires_grad


class TestGradients:
    @pytest.mark.parametrize(("weights", "name"), DISTILLED)
    def test_reach_everything_of_the_student_and_nothing_of_the_teacher(
        self, teacher_files, weights, name
    ):
        model = distilled(teacher_files, *term_weights(*weights), *source(name))
        losses = step(model, batch())
        check_gradients(model)
        on = [n for n, w in zip(("feature", "logit", "box"), weights, strict=True) if w]
        assert [k for k in losses if "tad" in k] == [f"loss_tad_{n}" for n in on]
        assert len(model.adapters) == (5 if weights[0] else 0)
        assert all(p.grad.any() for p in model.adapters.parameters())

    @pytest.mark.parametrize("weight", [1.0, 0.0])
    @pytest.mark.parametrize("counts", [(0, 3), (0, 0)], ids=["one image", "all images"])
    @pytest.mark.parametrize("opts", [(), INSTANCE_GATE], ids=["default", "instance gate"])
    def test_are_finite_and_complete_without_ground_truth(
        self, teacher_files, opts, counts, weight
    ):
        model = distilled(teacher_files, *opts, weight=weight)
        losses = step(model, batch(counts))
        assert all(loss.isfinite() for loss in losses.values())
        assert [loss.requires_grad for loss in losses.values()] == [True] * 7
        check_gradients(model)
        if not any(counts):
            assert losses["loss_tad_feature"] == losses["loss_tad_box"] == 0

    @pytest.mark.parametrize("weights", ALL_TERMS)
    def test_are_there_for_every_parameter_when_the_weight_is_zero(self, teacher_files, weights):
        model = distilled(teacher_files, *term_weights(*weights), weight=0.0)
        losses = step(model, batch())
        check_gradients(model)
        tad = {k: v for k, v in losses.items() if "tad" in k}
        assert len(tad) == sum(weights)
        assert all(v == 0 and v.requires_grad for v in tad.values())
        assert not any(p.grad.any() for p in model.adapters.parameters())

    @pytest.mark.parametrize("term", ["loss_tad_logit", "loss_tad_box"])
    def test_of_a_head_term_move_the_students_head_and_backbone(self, teacher_files, term):
        model = distilled(teacher_files, "MODEL.TADISTILL.BOX.GATE", "none")
        torch.manual_seed(0)
        # A fresh head's weights of 0.001 would let next to nothing through to the backbone.
        liven(model)
        with EventStorage():
            losses = model(batch())
        losses[term].backward()
        assert model.roi_heads.box_head.fc1.weight.grad.any()
        assert model.backbone.bottom_up.stem.conv1.weight.grad.any()

    def test_are_scaled_by_the_weight(self, teacher_files):
        full = step(distilled(teacher_files), batch())
        half = step(distilled(teacher_files, weight=0.5), batch())
        for name in full:
            factor = 0.5 if "tad" in name else 1.0
            assert half[name] == factor * full[name]


class TestTheTeacherIsNotAskedForMoreThanIsNeeded:
    def test_not_at_all_when_the_weight_is_zero(self, teacher_files, monkeypatch):
        model = distilled(teacher_files, weight=0.0)
        for name in ("images", "features", "proposals", "box_head"):
            forbid(monkeypatch, model._teacher, name)
        forbid(monkeypatch, model.teacher.backbone, "forward")
        assert "loss_tad_feature" in step(model, batch())
        assert model.gate_shares == {}

    def test_not_at_all_in_inference(self, model, monkeypatch):
        forbid(monkeypatch, model.teacher.backbone, "forward")
        model.eval()
        assert len(model(batch())[0]["instances"]) == 10

    def test_not_for_proposals_when_they_are_the_students(self, teacher_files, monkeypatch):
        model = distilled(teacher_files, *source("student"))
        forbid(monkeypatch, model.teacher.proposal_generator, "forward")
        step(model, batch())

    @pytest.mark.parametrize("name", ["union", "teacher"])
    def test_for_proposals_when_they_are_shared(self, teacher_files, name):
        model = distilled(teacher_files, *source(name))
        calls = count_calls(model.teacher.proposal_generator)
        step(model, batch())
        assert len(calls) == 1

    def test_not_for_its_head_when_only_the_features_count(self, teacher_files, monkeypatch):
        model = distilled(teacher_files, *term_weights(1, 0, 0))
        forbid(monkeypatch, model.teacher.roi_heads.box_head, "forward")
        step(model, batch())

    @pytest.mark.parametrize(
        "opts",
        [term_weights(0, 1, 0), term_weights(0, 0, 1), (*term_weights(1, 0, 0), *INSTANCE_GATE)],
        ids=["logit", "box", "instance gate"],
    )
    def test_for_its_head_once_when_a_term_or_gate_reads_it(self, teacher_files, opts):
        model = distilled(teacher_files, *opts)
        calls = count_calls(model.teacher.roi_heads.box_head)
        step(model, batch())
        assert len(calls) == 1


class TestNothingIsComputedTwice:
    def test_and_what_no_term_reads_not_at_all(self, teacher_files):
        model = distilled(teacher_files, "MODEL.TADISTILL.FEATURE.LEVELS", ["p3", "p4"])
        teacher = model.teacher
        modules = [model.backbone, model.proposal_generator, model.roi_heads.box_head]
        modules += [teacher.backbone, teacher.proposal_generator, teacher.roi_heads.box_head]
        modules += [model.adapters["p3"], model.adapters["p4"]]
        calls = [count_calls(module) for module in modules]
        step(model, batch())
        assert list(model.adapters) == ["p3", "p4"]
        assert [len(c) for c in calls] == [1] * len(modules)

    def test_no_level_is_adapted_without_the_feature_term(self, teacher_files):
        model = distilled(teacher_files, *term_weights(0, 1, 1))
        step(model, batch())
        assert len(model.adapters) == 0


class TestTheWeight:
    def test_that_nobody_sets_counts_as_one_and_is_warned_of_once(
        self, teacher_files, tadistill_log
    ):
        model, told = build(student_cfg(teacher_files)), distilled(teacher_files)
        assert same_tensors(step(model, batch()), step(told, batch()))
        step(model, batch())
        warnings = [r for r in tadistill_log.records if r.levelname == "WARNING"]
        assert len(warnings) == 1
        assert "DistillationDecayHook" in warnings[0].getMessage()

    def test_is_not_missed_without_a_teacher(self, tadistill_log):
        step(build(student_cfg(None)), batch())
        assert not tadistill_log.records


def test_gate_shares_are_detached_scalars_between_zero_and_one(teacher_files):
    model = distilled(teacher_files, *INSTANCE_GATE)
    step(model, batch())
    assert set(model.gate_shares) == {"feature", "logit", "box"}
    for share in model.gate_shares.values():
        assert share.shape == ()
        assert not share.requires_grad
        assert 0 < share < 1


def test_training_is_visualized_as_in_generalized_rcnn(teacher_files):
    images = []
    for cfg in (student_cfg(teacher_files, *source("student")), plain_cfg()):
        cfg.VIS_PERIOD = 2
        model = build(cfg)
        model.distillation_weight = 1.0
        seed_all_rng(11)  # the boxes' colours are random, too
        with EventStorage(1) as storage:
            model(batch())
            assert not storage._vis_data
            storage.iter = 2
            model(batch())
            images.append([image for _, image, _ in storage._vis_data])
    assert len(images[0]) == len(images[1]) == 1
    assert (images[0][0] == images[1][0]).all()


class TestStudentProperty:
    def test_is_a_plain_generalized_rcnn_over_the_same_parameters(self, model):
        student = model.student
        assert type(student) is GeneralizedRCNN
        theirs = dict(student.named_parameters())
        mine = dict(model.named_parameters())
        assert all(mine[name] is parameter for name, parameter in theirs.items())
        assert len(mine) == len(theirs) + len(list(model.adapters.parameters()))
        assert list(student.state_dict()) == list(build(plain_cfg()).state_dict())
        assert not hasattr(student, "adapters")

    def test_gives_bitwise_the_same_detections(self, model):
        liven(model).eval()
        detections = model(batch())
        assert same_detections(model.student(batch()), detections)
        assert all(len(d["instances"]) for d in detections)

    @pytest.mark.parametrize("training", [True, False])
    def test_is_in_the_mode_of_the_model(self, model, training):
        model.train(training)
        assert model.student.training is training


class TestAutocast:
    @pytest.mark.parametrize("opts", [(), INSTANCE_GATE, ("MODEL.TADISTILL.LOGIT.LOSS", "bce")])
    def test_bfloat16_gives_finite_losses_and_gradients_and_float32_terms(
        self, teacher_files, opts
    ):
        model = distilled(teacher_files, *opts)
        calls = []
        model.roi_heads.box_head.register_forward_hook(lambda m, a, out: calls.append(out.dtype))
        torch.manual_seed(11)
        with EventStorage(), torch.autocast("cpu", dtype=torch.bfloat16):
            losses = model(batch())
        sum(losses.values()).backward()
        assert calls == [torch.bfloat16]  # autocast was at work
        assert all(loss.isfinite() for loss in losses.values())
        assert {v.dtype for k, v in losses.items() if "tad" in k} == {torch.float32}
        check_gradients(model)

    def test_bfloat16_is_close_to_float32(self, teacher_files):
        # Of the feature term, which does not depend on the regions sampled.
        exact = step(distilled(teacher_files), batch())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = step(distilled(teacher_files), batch())
        name = "loss_tad_feature"
        assert rough[name] != exact[name]
        torch.testing.assert_close(rough[name], exact[name], rtol=0.05, atol=0.0)


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


class TestWhatCannotBeDistilled:
    def test_another_number_of_classes(self, teacher_files):
        teacher = build_teacher(student_cfg(teacher_files))
        student = student_cfg(None, "MODEL.ROI_HEADS.NUM_CLASSES", 4)
        kwargs = TADistillRCNN.from_config(student)
        with pytest.raises(ConfigError, match="teacher has 3 classes and the student 4"):
            TADistillRCNN(**{**kwargs, "teacher": teacher})

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
