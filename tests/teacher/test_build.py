"""Building the teacher: whole, checked against the student, without touching the random state."""

import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.layers import get_norm
from detectron2.modeling import META_ARCH_REGISTRY, GeneralizedRCNN
from tiny import (
    batch,
    build,
    liven,
    plain_cfg,
    same_detections,
    same_tensors,
    save_teacher,
    source,
    step,
    student_cfg,
    teacher_cfg,
)

from tadistill.errors import ConfigError
from tadistill.teacher import build_teacher

KEY = "MODEL.TADISTILL.TEACHER"


def refusal(cfg):
    with pytest.raises(ConfigError) as error:
        build_teacher(cfg)
    return str(error.value)


def written(tmp_path, *opts):
    """A teacher that only its config says anything of: it is refused before its weights matter."""
    path = tmp_path / "teacher.yaml"
    path.write_text(teacher_cfg(*opts).dump())
    return student_cfg(None, f"{KEY}.CONFIG_FILE", str(path), f"{KEY}.WEIGHTS", "unread.pth")


def register(monkeypatch, name, build):
    """A function that builds models, for the length of a test."""
    monkeypatch.setitem(META_ARCH_REGISTRY._obj_map, name, build)


def test_a_function_may_build_it(teacher_files, monkeypatch):
    register(monkeypatch, "build_rcnn", lambda cfg: GeneralizedRCNN(cfg))
    opts = (f"{KEY}.OPTS", ["MODEL.META_ARCHITECTURE", "build_rcnn"])
    assert type(build_teacher(student_cfg(teacher_files, *opts)).model) is GeneralizedRCNN


def test_has_the_weights_of_its_file(teacher_files):
    teacher = build_teacher(student_cfg(teacher_files))
    assert type(teacher.model) is GeneralizedRCNN
    assert same_tensors(teacher.model.state_dict(), torch.load(teacher_files.weights)["model"])


def test_leaves_the_random_state_alone(teacher_files):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    build_teacher(student_cfg(teacher_files))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_zoo_name_loads_the_zoos_weights(monkeypatch, tmp_path):
    from detectron2 import model_zoo

    name = "COCO-Detection/faster_rcnn_R_101_FPN_3x.yaml"
    asked = []

    def load(model, path, key, advice):
        asked.append((path, key, len(model.backbone.bottom_up.res4)))

    monkeypatch.setattr("tadistill.teacher.trained.load_all_weights", load)
    cfg = student_cfg(
        None, f"{KEY}.CONFIG_FILE", name, "MODEL.ROI_HEADS.NUM_CLASSES", 80, "INPUT.FORMAT", "BGR"
    )
    build_teacher(cfg)
    assert asked == [(model_zoo.get_checkpoint_url(name), f"{KEY}.WEIGHTS", 23)]


@pytest.mark.parametrize("kind", ["a training checkpoint", "the exported student"])
def test_a_student_of_an_earlier_distillation_may_teach(teacher_files, tmp_path, kind):
    first_cfg = student_cfg(teacher_files)
    first = liven(build(first_cfg))
    if kind == "a training checkpoint":
        config, weights = tmp_path / "config.yaml", tmp_path / "model_0000009.pth"
        config.write_text(first_cfg.dump())
        optimizer = torch.optim.SGD(first.parameters(), lr=0.1, momentum=0.9)
        checkpointer = DetectionCheckpointer(first, str(tmp_path), optimizer=optimizer)
        checkpointer.save("model_0000009", iteration=9)
    else:
        from tadistill import export_student

        weights, config = export_student(first, first_cfg, str(tmp_path))

    cfg = student_cfg(None, f"{KEY}.CONFIG_FILE", str(config), f"{KEY}.WEIGHTS", str(weights))
    teacher = build_teacher(cfg)
    assert type(teacher.model) is GeneralizedRCNN
    assert same_detections(teacher.model(batch()), first.student.eval()(batch()))
    cfg.MODEL.TADISTILL.ENABLED = True
    assert step(build(cfg), batch())["loss_tad_feature"] > 0


class TestATeacherIsRefused:
    def test_when_its_file_lacks_a_tensor(self, teacher_files, tmp_path):
        state = torch.load(teacher_files.weights)["model"]
        name = "roi_heads.box_predictor.bbox_pred.bias"
        del state[name]
        path = tmp_path / "part.pth"
        torch.save({"model": state}, path)
        text = refusal(student_cfg(teacher_files, f"{KEY}.WEIGHTS", str(path)))
        assert f"{KEY}.WEIGHTS: {path} does not fill" in text
        assert f"Not in the file (1): {name}" in text
        assert f"{KEY}.OPTS" in text

    def test_when_its_file_has_other_shapes(self, teacher_files):
        opts = [*("MODEL.ROI_BOX_HEAD.FC_DIM", 21)]
        text = refusal(student_cfg(teacher_files, f"{KEY}.OPTS", opts))
        assert str(teacher_files.weights) in text
        assert "roi_heads.box_head.fc1.weight (file (20, 144), model (21, 144))" in text

    def test_when_only_its_backbone_was_pretrained(self, teacher_files, tmp_path):
        state = torch.load(teacher_files.weights)["model"]
        path = tmp_path / "imagenet.pth"
        backbone = {k: v for k, v in state.items() if k.startswith("backbone.bottom_up")}
        torch.save({"model": backbone}, path)
        text = refusal(student_cfg(teacher_files, f"{KEY}.WEIGHTS", str(path)))
        assert "proposal_generator" in text or "fpn_lateral" in text

    def test_when_its_file_is_missing(self, teacher_files):
        text = refusal(student_cfg(teacher_files, f"{KEY}.WEIGHTS", "nowhere/model.pth"))
        assert f"{KEY}.WEIGHTS: there is no file nowhere/model.pth" in text

    def test_when_no_weights_are_given(self, teacher_files):
        text = refusal(student_cfg(teacher_files, f"{KEY}.WEIGHTS", ""))
        assert f"{KEY}.WEIGHTS is empty" in text

    def test_when_it_is_not_a_generalized_rcnn(self, tmp_path):
        text = refusal(written(tmp_path, "MODEL.META_ARCHITECTURE", "RetinaNet"))
        assert f"{KEY}.CONFIG_FILE describes a RetinaNet; the teacher must be a Generalized" in text

    def test_when_nothing_has_registered_it(self, tmp_path):
        text = refusal(written(tmp_path, "MODEL.META_ARCHITECTURE", "NobodysNet"))
        assert "MODEL.META_ARCHITECTURE is 'NobodysNet', which nothing has registered" in text

    def test_when_it_is_a_function_that_builds_another_model(self, tmp_path, monkeypatch):
        register(monkeypatch, "build_linear", lambda cfg: torch.nn.Linear(1, 1))
        text = refusal(written(tmp_path, "MODEL.META_ARCHITECTURE", "build_linear"))
        assert "is a Linear; the teacher must be a GeneralizedRCNN" in text

    @pytest.mark.parametrize("key", ["BACKBONE", "ROI_HEADS", "PROPOSAL_GENERATOR"])
    def test_when_nothing_has_registered_a_part_of_it(self, tmp_path, key):
        text = refusal(written(tmp_path, f"MODEL.{key}.NAME", "nobodys"))
        assert f"{KEY}.CONFIG_FILE describes a model that cannot be built here" in text
        assert f"MODEL.{key}.NAME is 'nobodys', which nothing has registered" in text

    def test_when_its_config_lacks_a_key_of_its_own(self, tmp_path, monkeypatch):
        register(monkeypatch, "build_mine", lambda cfg: cfg.MODEL.MY_WIDTH)
        text = refusal(written(tmp_path, "MODEL.META_ARCHITECTURE", "build_mine"))
        assert "there is no config key MY_WIDTH. If it is one of another project" in text
        assert "the whole config.yaml" in text

    def test_but_an_error_in_its_code_is_shown_as_it_is(self, tmp_path, monkeypatch):
        register(monkeypatch, "build_mine", lambda cfg: cfg.no_such_method())
        cfg = written(tmp_path, "MODEL.META_ARCHITECTURE", "build_mine")
        with pytest.raises(AttributeError, match="no_such_method"):
            build_teacher(cfg)
        register(monkeypatch, "build_mine", lambda cfg: get_norm("SYNCBN", 8))
        with pytest.raises(KeyError, match="SYNCBN"):
            build_teacher(cfg)

    def test_when_detectron2_stops_at_a_value(self, tmp_path):
        text = refusal(written(tmp_path, "MODEL.FPN.NORM", "SYNCBN"))
        assert "cannot be built here: KeyError: 'SYNCBN', at `" in text
        assert "(detectron2/layers/batch_norm.py)" in text

    def test_when_its_heads_are_a_cascade(self, tmp_path):
        text = refusal(
            written(
                tmp_path,
                *("MODEL.ROI_HEADS.NAME", "CascadeROIHeads"),
                *("MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", True),
                *("MODEL.ROI_HEADS.IOU_THRESHOLDS", [0.5]),
            )
        )
        assert "CascadeROIHeads" in text
        assert KEY in text

    def test_when_its_heads_have_no_box_branch_that_is_known(self, tmp_path):
        text = refusal(
            written(
                tmp_path,
                *("MODEL.BACKBONE.NAME", "build_resnet_backbone"),
                *("MODEL.RESNETS.OUT_FEATURES", ["res4"]),
                *("MODEL.RPN.IN_FEATURES", ["res4"], "MODEL.ROI_HEADS.IN_FEATURES", ["res4"]),
                *("MODEL.ANCHOR_GENERATOR.SIZES", [[32]]),
                *("MODEL.ROI_HEADS.NAME", "Res5ROIHeads"),
            )
        )
        assert "Res5ROIHeads has no box branch" in text

    def test_when_it_has_other_classes(self, tmp_path):
        text = refusal(written(tmp_path, "MODEL.ROI_HEADS.NUM_CLASSES", 80))
        assert "the teacher has 80 classes and the student 3" in text
        assert "MODEL.ROI_HEADS.NUM_CLASSES" in text

    def test_when_its_channel_order_is_unknown(self, tmp_path):
        files = save_teacher(teacher_cfg("INPUT.FORMAT", "YUV-BT.601"), tmp_path)
        text = refusal(student_cfg(files))
        assert "INPUT.FORMAT is 'BGR' for the student and 'YUV-BT.601' for the teacher" in text


def test_a_teacher_of_another_depth_and_norm_teaches(tmp_path):
    files = save_teacher(
        plain_cfg("MODEL.RESNETS.DEPTH", 101, "MODEL.RESNETS.NORM", "FrozenBN"), tmp_path
    )
    model = build(student_cfg(files, *source("student")))
    assert len(model.teacher.backbone.bottom_up.res4) == 23
    assert all(loss.isfinite() for loss in step(model, batch()).values())
