"""What makes the teacher faster, and how little its answers change."""

import copy
import functools
import io

import pytest
import torch
from tiny import (
    batch,
    build,
    gradients,
    same_detections,
    same_tensors,
    save_teacher,
    source,
    step,
    student_cfg,
    teacher_cfg,
)
from torch._dynamo.utils import counters

from tadistill.errors import ConfigError
from tadistill.options import TeacherOptions
from tadistill.teacher import build_teacher
from tadistill.teacher.device import check_compilable

KEY = "MODEL.TADISTILL.TEACHER"
# A gate is open or closed: of a tie a rounding makes the one or the other.
NO_GATES = ("MODEL.TADISTILL.LOGIT.GATE", "none", "MODEL.TADISTILL.BOX.GATE", "none")
CHANNELS_LAST = (f"{KEY}.CHANNELS_LAST", True)
FOLD_BN = (f"{KEY}.FOLD_BN", True)
COMPILE = (f"{KEY}.COMPILE", True)

# Three blocks and no FPN.
SHALLOW = (
    *("MODEL.BACKBONE.NAME", "build_resnet_backbone", "MODEL.RESNETS.OUT_FEATURES", ["res2"]),
    *("MODEL.RPN.IN_FEATURES", ["res2"], "MODEL.ROI_HEADS.IN_FEATURES", ["res2"]),
    *("MODEL.ANCHOR_GENERATOR.SIZES", [[32]]),
)


def dtype(name):
    return (f"{KEY}.DTYPE", name)


def distilled(teacher_files, *opts):
    model = build(student_cfg(teacher_files, *source("student"), *opts))
    model.distillation_weight = 1.0
    return model


@pytest.mark.parametrize(
    ("opts", "bound"),
    [
        (FOLD_BN, 1e-5),
        (CHANNELS_LAST, 1e-5),
        (dtype("float32"), 0.0),
        (dtype("bfloat16"), 0.03),
        (dtype("float16"), 0.005),
        ((*FOLD_BN, *CHANNELS_LAST, *dtype("bfloat16")), 0.03),
    ],
    ids=["FOLD_BN", "CHANNELS_LAST", "float32", "bfloat16", "float16", "together"],
)
def test_each_term_and_gradient_stays_close(teacher_files, opts, bound):
    """By the relative difference; of the gradient as a whole."""
    gates = NO_GATES if bound > 1e-5 else ()
    plain, faster = (distilled(teacher_files, *gates, *o) for o in ((), opts))
    for seed in range(3):
        expected, actual = step(plain, batch(seed=seed)), step(faster, batch(seed=seed))
        assert list(actual) == list(expected)
        for name, loss in expected.items():
            assert actual[name].dtype == torch.float32
            torch.testing.assert_close(actual[name], loss, rtol=bound, atol=0)
        ours, theirs = (
            torch.cat([g.flatten() for g in gradients(model).values()]) for model in (faster, plain)
        )
        assert (ours - theirs).norm() <= bound * theirs.norm()


class TestCompilation:
    # The C++ would take a minute: what is tried here is all before it.

    def test_is_of_the_backbone_for_any_size_when_it_is_first_asked(
        self, teacher_files, monkeypatch
    ):
        compiled, calls = [], []

        def note(function, **kwargs):
            compiled.append((function, kwargs))
            return lambda *args: calls.append(1) or function(*args)

        monkeypatch.setattr(torch, "compile", note)
        plain, model = distilled(teacher_files), distilled(teacher_files, *COMPILE)
        assert compiled[-1] == (model.teacher.backbone, {"dynamic": True})
        calls.clear()
        assert same_tensors(step(model, batch()), step(plain, batch()))
        assert calls == [1]

    def test_of_one_size_is_good_for_another(self, tmp_path, monkeypatch):
        files = save_teacher(teacher_cfg(*SHALLOW), tmp_path)
        plain = build_teacher(student_cfg(files))
        monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
        teacher = build_teacher(student_cfg(files, *COMPILE))
        counters.clear()
        for sizes in [((67, 93), (96, 71)), ((128, 60), (33, 33))]:
            images = plain.images(batch(sizes=sizes))
            assert same_tensors(teacher.features(images), plain.features(images))
        assert counters["stats"]["unique_graphs"] >= 1
        torch._dynamo.reset()


class TestHalfPrecision:
    @pytest.mark.parametrize("name", ["bfloat16", "float16"])
    def test_is_at_work_and_its_answers_are_float32(self, teacher_files, name):
        teacher = build_teacher(student_cfg(teacher_files, *dtype(name), *CHANNELS_LAST))
        used = []
        for module in (
            teacher.model.backbone.fpn_output2,
            teacher.model.proposal_generator.rpn_head.conv,
            teacher.model.roi_heads.box_head.fc1,
        ):
            module.register_forward_hook(lambda m, a, out: used.append(out.dtype))
        images = teacher.images(batch())
        features = teacher.features(images)
        proposals = teacher.proposals(images, features)
        head = teacher.box_head(features, proposals)
        assert set(used) == {getattr(torch, name)}
        answers = [*features.values(), *head]
        answers += [x for p in proposals for x in (p.objectness_logits, p.proposal_boxes.tensor)]
        assert {answer.dtype for answer in answers} == {torch.float32}
        assert all(feature.is_contiguous() for feature in features.values())

    def test_pools_at_boxes_that_are_not_rounded(self, teacher_files):
        teacher = build_teacher(student_cfg(teacher_files, *dtype("bfloat16")))
        pooled_from = []
        teacher.model.roi_heads.box_pooler.register_forward_pre_hook(
            lambda m, args: pooled_from.extend(x.dtype for x in args[0])
        )
        images = teacher.images(batch())
        features = teacher.features(images)
        teacher.box_head(features, teacher.proposals(images, features))
        assert set(pooled_from) == {torch.float32}

    def test_float32_holds_in_a_step_of_mixed_precision(self, teacher_files):
        plain = build_teacher(student_cfg(teacher_files))
        held = build_teacher(student_cfg(teacher_files, *dtype("float32")))
        images = plain.images(batch())
        exact = plain.features(images)
        with torch.autocast("cpu", torch.bfloat16):
            assert same_tensors(held.features(images), exact)
            assert not same_tensors(plain.features(images), exact)


@pytest.mark.parametrize(
    ("opts", "exact"), [(dtype("bfloat16"), True), (CHANNELS_LAST, False), (FOLD_BN, False)]
)
def test_the_model_itself_evaluates_in_float32(teacher_files, opts, exact):
    plain = build_teacher(student_cfg(teacher_files)).model(batch())
    teacher = build_teacher(student_cfg(teacher_files, *opts))
    teacher.features(teacher.images(batch()))  # at which it is folded
    norms = [name for name in teacher.model.state_dict() if ".norm." in name]
    assert bool(norms) == (opts != FOLD_BN)
    faster = teacher.model(batch())
    assert same_detections(plain, faster) or not exact
    for one, other in zip(plain, faster, strict=True):
        torch.testing.assert_close(
            one["instances"].scores, other["instances"].scores, rtol=1e-4, atol=1e-5
        )


def test_follows_the_student(teacher_files):
    opts = (*FOLD_BN, *CHANNELS_LAST)
    model = distilled(teacher_files, *opts)
    step(model, batch())  # at which it is folded
    model.double()
    images = model._teacher.images(batch())
    assert images.tensor.dtype == torch.float64
    model.float()
    assert model.teacher.backbone.bottom_up.stem.conv1.weight.dtype == torch.float32
    assert all(loss.isfinite() for loss in step(model, batch()).values())


class TestIsRefused:
    def test_a_precision_that_there_is_not(self, teacher_files):
        with pytest.raises(ConfigError, match=r"TEACHER\.DTYPE is 'half'; choose one of"):
            build_teacher(student_cfg(teacher_files, *dtype("half")))

    def test_a_stream_without_a_gpu(self, teacher_files):
        with pytest.raises(
            ConfigError, match=r"TEACHER\.STREAM is True, but MODEL\.DEVICE is 'cpu'"
        ):
            build_teacher(student_cfg(teacher_files, f"{KEY}.STREAM", True))

    def test_compilation_of_padding_by_the_images_size(self, teacher_files):
        """On it torch.compile does not come to an end."""

        class Conv2dSame(torch.nn.Conv2d):  # as timm's class is called
            pass

        backbone = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), Conv2dSame(3, 3, 1))
        with pytest.raises(ConfigError, match=r"COMPILE is True, but .* has Conv2dSame, whose"):
            check_compilable(backbone)
        check_compilable(build_teacher(student_cfg(teacher_files)).model.backbone)

    def test_compilation_without_a_compiler(self, teacher_files, monkeypatch):
        def no_compiler(*args, **kwargs):
            raise RuntimeError("\nInvalidCxxCompiler: none found\nlong story")

        monkeypatch.setattr(torch, "compile", lambda function: no_compiler)
        with pytest.raises(ConfigError) as error:
            build_teacher(student_cfg(teacher_files, *COMPILE))
        assert f"{KEY}.COMPILE is True" in str(error.value)
        assert "(InvalidCxxCompiler: none found): install a C++ compiler" in str(error.value)


def test_all_are_off_and_all_are_read():
    cfg = student_cfg(None)
    assert TeacherOptions.from_cfg(cfg.MODEL.TADISTILL.TEACHER) == TeacherOptions()
    cfg.merge_from_list(
        [*FOLD_BN, *CHANNELS_LAST, *COMPILE, *dtype("float16"), f"{KEY}.STREAM", True]
    )
    assert TeacherOptions.from_cfg(cfg.MODEL.TADISTILL.TEACHER) == TeacherOptions(
        fold_bn=True, dtype="float16", channels_last=True, compile=True, stream=True
    )


def test_a_stream_is_no_part_of_a_copy(teacher_files):
    """It can be neither copied nor saved."""
    model = distilled(teacher_files)
    model._teacher._has_stream, model._teacher._stream = True, torch.Stream(device="cpu")
    with pytest.raises(TypeError, match="Stream"):
        copy.deepcopy(model._teacher._stream)
    twin = copy.deepcopy(model)
    torch.save(model, io.BytesIO())
    assert twin._teacher._has_stream
    assert twin._teacher._stream is None
    model.float()  # as any move: to another GPU, say
    assert model._teacher._stream is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
class TestOnAGpu:
    @pytest.mark.parametrize("proposals", ["union", "student"])
    def test_a_stream_of_its_own_changes_nothing(self, teacher_files, proposals):
        device = ("MODEL.DEVICE", "cuda")
        plain = distilled(teacher_files, *device, *source(proposals))
        beside = distilled(teacher_files, *device, *source(proposals), f"{KEY}.STREAM", True)
        for seed in range(20):
            expected, actual = step(plain, batch(seed=seed)), step(beside, batch(seed=seed))
            for name in expected:
                torch.testing.assert_close(actual[name], expected[name], rtol=1e-4, atol=1e-6)
