"""Backbones of timm: their maps, their norms, and detectors, students and teachers on them."""

import subprocess
import sys

import pytest
import timm
import torch
from detectron2.config import get_cfg
from detectron2.modeling import GeneralizedRCNN
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
    step,
    student_cfg,
    with_statistics,
)

from tadistill import TADistillRCNN, add_tadistill_config, export_student
from tadistill.backbones.timm_fpn import TimmBackbone, build_timm_backbone
from tadistill.data import register_coco
from tadistill.engine import TADistillTrainer
from tadistill.engine.evaluation import load_student
from tadistill.errors import ConfigError

ALL_MAPS = ["stride4", "stride8", "stride16", "stride32"]


def on_timm(cfg, *opts):
    """``cfg`` with a backbone of some ten thousand weights."""
    if "TIMM" not in cfg.MODEL:
        add_tadistill_config(cfg)
    cfg.MODEL.BACKBONE.NAME = "build_timm_fpn_backbone"
    cfg.MODEL.TIMM.NAME = "test_efficientnet"
    cfg.MODEL.FPN.IN_FEATURES = ALL_MAPS
    cfg.merge_from_list(list(opts))
    return cfg


def timm_file(directory, name="test_efficientnet", seed=5):
    """ImageNet weights, so to speak: of a whole classifier, with running statistics."""
    torch.manual_seed(seed)
    model = with_statistics(timm.create_model(name))
    path = directory / f"{name}.pth"
    torch.save(model.state_dict(), path)
    return str(path)


def image(height=64, width=96):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def refusal(cfg):
    with pytest.raises(ConfigError) as error:
        build(cfg)
    return str(error.value)


@pytest.mark.parametrize(
    "name", ["test_efficientnet", "test_resnet", "test_convnext", "test_mambaout"]
)
def test_maps_have_the_channels_and_strides_that_are_said(name):
    backbone = build_timm_backbone(name, "", "BN", ALL_MAPS).eval()
    maps = backbone(image())
    assert list(maps) == list(backbone.output_shape()) == ALL_MAPS
    for feature, shape in backbone.output_shape().items():
        assert feature == f"stride{shape.stride}"
        size = (64 // shape.stride, 96 // shape.stride)
        assert maps[feature].shape == (1, shape.channels, *size)


def test_maps_are_those_of_timm_whatever_its_memory_format():
    # ConvNeXt gives (N, C, H, W), MambaOut (N, H, W, C).
    for name, own_format in (("test_convnext", "NCHW"), ("test_mambaout", "NHWC")):
        backbone = build_timm_backbone(name, "", "BN", ALL_MAPS[1:]).eval()
        assert str(backbone.model.output_fmt).endswith(own_format)
        maps = backbone(image()).values()
        for ours, theirs in zip(maps, backbone.model(image())[1:], strict=True):
            assert torch.equal(ours, theirs if own_format == "NCHW" else theirs.permute(0, 3, 1, 2))


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet"])
def test_frozen_bn_is_bn_in_eval_mode_with_its_activation(name, tmp_path):
    weights = timm_file(tmp_path, name)
    bn = build_timm_backbone(name, weights, "BN", ALL_MAPS).double().eval()
    frozen = build_timm_backbone(name, weights, "FrozenBN", ALL_MAPS).double().train()
    assert same_tensors(frozen.state_dict(), without_counters(bn.state_dict()))
    x = image().double()
    before = clone(frozen.state_dict())
    for ours, theirs in zip(frozen(x).values(), bn(x).values(), strict=True):
        assert theirs.std() > 1e-3
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    assert same_tensors(frozen.state_dict(), before)
    # No norm is trained, everything else is.
    kinds = {type(m).__name__ for m in frozen.modules() if "Norm" in type(m).__name__}
    assert all(kind.startswith("Frozen") for kind in kinds)
    norms = {n for n, m in bn.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    expected = {n for n, _ in bn.named_parameters() if n.rpartition(".")[0] not in norms}
    assert {n for n, _ in frozen.named_parameters()} == expected != set()


def without_counters(state):
    return {name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}


def test_bn_learns_its_statistics_and_sync_bn_is_torchs(tmp_path):
    weights = timm_file(tmp_path)
    bn = build_timm_backbone("test_efficientnet", weights, "BN", ALL_MAPS).train()
    sync = build_timm_backbone("test_efficientnet", weights, "SyncBN", ALL_MAPS).train()
    assert same_tensors(bn.state_dict(), sync.state_dict())
    assert any(isinstance(m, torch.nn.SyncBatchNorm) for m in sync.modules())
    assert not any(type(m).__name__ == "BatchNormAct2d" for m in sync.modules())
    before = clone(bn.state_dict())
    for ours, theirs in zip(sync(image()).values(), bn(image()).values(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert not torch.equal(bn.model.bn1.running_mean, before["model.bn1.running_mean"])


@pytest.mark.parametrize("norm", ["BN", "FrozenBN"])
def test_every_parameter_of_a_detector_gets_a_gradient(norm):
    model = build(on_timm(plain_cfg(), "MODEL.TIMM.NORM", norm))
    assert [level.stride for level in model.backbone.output_shape().values()] == [4, 8, 16, 32, 64]
    assert model.backbone.size_divisibility == 32
    losses = step(model, batch())
    assert all(loss.isfinite() for loss in losses.values())
    assert all(gradient is not None for gradient in gradients(model).values())


def test_images_may_have_other_than_three_channels():
    backbone = build_timm_backbone("test_efficientnet", "", "BN", ALL_MAPS, in_channels=1)
    assert backbone.model.conv_stem.weight.shape[1] == 1


class TestIsRefused:
    def test_a_norm_that_is_not_known(self):
        text = refusal(on_timm(plain_cfg(), "MODEL.TIMM.NORM", "GN"))
        assert text == "MODEL.TIMM.NORM is 'GN'; choose one of 'BN', 'FrozenBN', 'SyncBN'"

    @pytest.mark.parametrize("name", ["test_efficientnett", "hf-hub:somebody/something", ""])
    def test_a_name_that_timm_does_not_have(self, name):
        text = refusal(on_timm(plain_cfg(), "MODEL.TIMM.NAME", name))
        assert f"MODEL.TIMM.NAME is {name!r}, which timm {timm.__version__} does not have" in text

    def test_a_model_that_has_no_feature_maps(self, monkeypatch):
        def refuse(*args, **kwargs):
            raise RuntimeError("features_only not implemented")

        monkeypatch.setattr(timm, "create_model", refuse)
        text = refusal(on_timm(plain_cfg()))
        assert "MODEL.TIMM.NAME is 'test_efficientnet'; timm cannot make feature maps of it" in text
        assert "features_only not implemented" in text

    def test_a_model_of_one_image_size(self):
        text = refusal(on_timm(plain_cfg(), "MODEL.TIMM.NAME", "test_vit"))
        assert "MODEL.TIMM.NAME is 'test_vit', which takes images of one size alone" in text

    @pytest.mark.parametrize(
        "maps",
        [["res2", "res3", "res4", "res5"], ["stride4", "stride8"], ["stride4", "stride32"], []],
    )
    def test_maps_that_are_not_there_or_leave_layers_out(self, maps):
        text = refusal(on_timm(plain_cfg(), "MODEL.FPN.IN_FEATURES", maps))
        assert f"MODEL.FPN.IN_FEATURES is {maps}; MODEL.TIMM.NAME has the feature maps" in text
        assert "stride2, stride4, stride8, stride16, stride32" in text

    def test_a_model_whose_maps_do_not_fit_together(self):
        text = refusal(on_timm(plain_cfg(), "MODEL.TIMM.NAME", "inception_v3"))
        assert "whose map stride4 of an image of 96x160 has the shape (1, 192, 20, 36)" in text
        assert "a feature pyramid needs (1, 192, 24, 40)" in text

    @pytest.mark.parametrize(
        ("name", "problem"),
        [
            ("mobilevitv2_050", "whose map stride32 of an image of 96x160 has the shape (1, 256"),
            ("halonet26t", "which takes no image of 96x160 (AssertionError"),
        ],
    )
    def test_a_model_that_does_not_take_what_images_are_padded_to(self, name, problem):
        """Of 128x128 all is well with the first, and a training would stop in the middle."""
        text = refusal(on_timm(plain_cfg(), "MODEL.TIMM.NAME", name))
        assert f"MODEL.TIMM.NAME is {name!r}, {problem}" in text
        assert "Choose another model" in text

    def test_a_part_that_is_to_be_frozen(self):
        text = refusal(on_timm(plain_cfg(), "MODEL.BACKBONE.FREEZE_AT", 2))
        assert "MODEL.BACKBONE.FREEZE_AT is 2; a backbone of timm is trained whole" in text

    def test_that_timm_is_not_installed(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "timm", None)
        text = refusal(on_timm(plain_cfg()))
        assert "needs the package timm: pip install timm" in text

    def test_that_timms_own_download_fails(self, monkeypatch):
        def unreachable(*args, **kwargs):
            raise OSError("no network here")

        monkeypatch.setattr("timm.models._builder.load_pretrained", unreachable)
        text = refusal(on_timm(plain_cfg(), "MODEL.TIMM.WEIGHTS", "timm"))
        assert "timm cannot get the weights of it: no network here" in text


def test_timm_is_asked_for_its_own_weights(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "timm.models._builder.load_pretrained", lambda model, **kwargs: asked.append(kwargs)
    )
    build(on_timm(plain_cfg()))
    assert asked == []
    build(on_timm(plain_cfg(), "MODEL.TIMM.WEIGHTS", "timm"))
    assert [kwargs["pretrained_cfg"]["architecture"] for kwargs in asked] == ["test_efficientnet"]


def test_timm_is_imported_by_nobody_who_does_not_build_such_a_backbone():
    check = "import sys, tadistill; sys.exit('timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0


def test_the_rest_of_a_detector_starts_as_it_would_without_weights(tmp_path):
    without = build(on_timm(plain_cfg()))
    state = torch.get_rng_state()
    with_weights = build(on_timm(plain_cfg(), "MODEL.TIMM.WEIGHTS", timm_file(tmp_path)))
    assert torch.equal(torch.get_rng_state(), state)
    first, second = without.state_dict(), with_weights.state_dict()
    differing = {name for name in first if not torch.equal(first[name], second[name])}
    assert differing
    assert all(name.startswith("backbone.bottom_up.") for name in differing)


@pytest.mark.usefixtures("registered_datasets")
def test_a_checkpoint_in_model_weights_overrides_the_imagenet_weights(coco_files, tmp_path):
    register_coco([("mine", str(coco_files.annotations), str(coco_files.images))])
    start = save_teacher(on_timm(plain_cfg()), tmp_path, "start")
    cfg = on_timm(
        student_cfg(None),
        *("MODEL.TIMM.WEIGHTS", timm_file(tmp_path), "MODEL.WEIGHTS", str(start.weights)),
        *("DATASETS.TRAIN", ("mine",), "DATASETS.TEST", (), "OUTPUT_DIR", str(tmp_path / "run")),
    )
    trainer = TADistillTrainer(cfg)
    before = clone(trainer.model.state_dict())
    trainer.resume_or_load(resume=False)
    loaded = torch.load(start.weights)["model"]
    assert not same_tensors(before, loaded)
    assert same_tensors(trainer.model.state_dict(), loaded)


class TestLoadedWholeFromACheckpoint:
    """What training started from has been deleted; ``"gone.pth"`` is never opened."""

    @pytest.fixture
    def files(self, tmp_path):
        files = save_teacher(on_timm(plain_cfg("MODEL.FPN.OUT_CHANNELS", 16)), tmp_path)
        text = files.config.read_text().replace("WEIGHTS: ''", "WEIGHTS: gone.pth")
        assert text.count("gone.pth") == 3  # MODEL, MODEL.TIMM, TEACHER
        files.config.write_text(text)
        return files

    def test_a_teacher_teaches_a_student_with_such_a_backbone(self, files):
        model = build(on_timm(student_cfg(files)))
        assert isinstance(model.teacher.backbone.bottom_up, TimmBackbone)
        assert same_tensors(model.teacher.state_dict(), torch.load(files.weights)["model"])
        losses = step(model, batch())
        assert {"loss_tad_feature", "loss_tad_logit", "loss_tad_box"} <= set(losses)
        assert all(loss.isfinite() for loss in losses.values())
        assert all(gradient is not None for gradient in gradients(model).values())

    def test_a_student_is_evaluated(self, files):
        cfg = on_timm(student_cfg(None), "MODEL.TIMM.WEIGHTS", "gone.pth")
        cfg.MODEL.FPN.OUT_CHANNELS = 16
        student = load_student(cfg, str(files.weights), "MODEL.WEIGHTS")
        assert same_tensors(student.state_dict(), torch.load(files.weights)["model"])
        assert cfg.MODEL.TIMM.WEIGHTS == "gone.pth"

    def test_but_not_half(self, files, tmp_path):
        weights = torch.load(files.weights)["model"]
        del weights["backbone.bottom_up.model.conv_stem.weight"]
        torch.save({"model": weights}, tmp_path / "half.pth")
        cfg = on_timm(student_cfg(files))
        cfg.MODEL.TADISTILL.TEACHER.WEIGHTS = str(tmp_path / "half.pth")
        assert "Not in the file (1): backbone.bottom_up.model.conv_stem.weight" in refusal(cfg)


def test_an_exported_student_opens_with_tadistill_and_says_so(tmp_path, tadistill_log):
    cfg = on_timm(student_cfg(None), "MODEL.TIMM.WEIGHTS", timm_file(tmp_path))
    model = liven(build(cfg))
    assert isinstance(model, TADistillRCNN)
    weights, config = export_student(model, cfg, str(tmp_path))
    assert "The student alone, for Detectron2 with tadistill and timm" in tadistill_log.text

    opened_cfg = get_cfg()
    add_tadistill_config(opened_cfg)
    opened_cfg.merge_from_file(config)
    assert opened_cfg.MODEL.TIMM.WEIGHTS == ""
    assert weights == opened_cfg.MODEL.WEIGHTS
    opened = build(opened_cfg, seed=99)
    assert type(opened) is GeneralizedRCNN
    opened.load_state_dict(torch.load(weights)["model"])
    assert same_detections(opened.eval()(batch()), model.eval()(batch()))


def test_an_exported_student_of_detectron2s_own_has_no_key_of_timms(tmp_path):
    model = build(student_cfg(None))
    _, config = export_student(model, student_cfg(None), str(tmp_path))
    get_cfg().merge_from_file(config)  # which refuses what it does not know
