"""From MODEL.TADISTILL.TEACHER to a config and weights: files, zoo names, and what is refused."""

import pytest
from detectron2 import model_zoo
from detectron2.modeling import META_ARCH_REGISTRY
from tiny import student_cfg, teacher_cfg

from tadistill import TADistillRCNN
from tadistill.errors import ConfigError
from tadistill.teacher import teacher_config, teacher_weights

ZOO_NAME = "COCO-Detection/faster_rcnn_R_101_FPN_3x.yaml"
KEY = "MODEL.TADISTILL.TEACHER"


def pointing_at(config="", weights="", opts=()):
    return student_cfg(
        None,
        *(f"{KEY}.CONFIG_FILE", str(config), f"{KEY}.WEIGHTS", str(weights)),
        *(f"{KEY}.OPTS", list(opts)),
    )


def refusal(cfg, read=teacher_config):
    with pytest.raises(ConfigError) as error:
        read(cfg)
    return str(error.value)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "teacher.yaml"
    path.write_text(teacher_cfg().dump())
    return path


class TestConfig:
    def test_is_that_of_the_file(self, file):
        cfg = teacher_config(pointing_at(file))
        assert cfg.MODEL.FPN.OUT_CHANNELS == 16
        assert cfg.MODEL.ROI_HEADS.NUM_CLASSES == 3

    def test_follows_base_files(self, file, tmp_path):
        child = tmp_path / "child.yaml"
        child.write_text('_BASE_: "teacher.yaml"\nMODEL: {ROI_BOX_HEAD: {FC_DIM: 99}}\n')
        cfg = teacher_config(pointing_at(child))
        assert (cfg.MODEL.FPN.OUT_CHANNELS, cfg.MODEL.ROI_BOX_HEAD.FC_DIM) == (16, 99)

    def test_of_the_model_zoo_goes_by_its_name(self):
        cfg = teacher_config(pointing_at(ZOO_NAME))
        expected = model_zoo.get_config(ZOO_NAME)
        assert cfg.MODEL.RESNETS.DEPTH == expected.MODEL.RESNETS.DEPTH == 101
        assert cfg.SOLVER.STEPS == expected.SOLVER.STEPS

    def test_has_the_overrides(self, file):
        cfg = teacher_config(pointing_at(file, opts=["MODEL.ROI_HEADS.NUM_CLASSES", 20]))
        assert cfg.MODEL.ROI_HEADS.NUM_CLASSES == 20

    def test_is_on_the_students_device(self, file):
        cfg = pointing_at(file, opts=["MODEL.DEVICE", "cuda"])
        assert teacher_config(cfg).MODEL.DEVICE == "cpu"
        cfg.MODEL.DEVICE = "cuda:1"
        assert teacher_config(cfg).MODEL.DEVICE == "cuda:1"

    def test_may_have_keys_of_another_project(self, file):
        file.write_text(file.read_text() + "POINT_RENDERER: {DEPTH: 3}\n")
        assert teacher_config(pointing_at(file)).POINT_RENDERER.DEPTH == 3

    def test_of_an_earlier_distillation_is_a_plain_model(self, tmp_path):
        path = tmp_path / "config.yaml"
        path.write_text(student_cfg(None, "MODEL.TADISTILL.ENABLED", True).dump())
        assert teacher_config(pointing_at(path)).MODEL.META_ARCHITECTURE == "GeneralizedRCNN"

    def test_cannot_be_changed(self, file):
        assert teacher_config(pointing_at(file)).is_frozen()

    def test_leaves_the_students_as_it_was(self, file):
        cfg = pointing_at(file, opts=["MODEL.ROI_HEADS.NUM_CLASSES", 20])
        before = cfg.clone()
        teacher_config(cfg)
        assert cfg == before


class TestARefusedConfig:
    def test_that_is_not_given(self):
        text = refusal(pointing_at())
        assert f"{KEY}.CONFIG_FILE is empty" in text
        assert ZOO_NAME in text

    @pytest.mark.parametrize(
        "name", ["nowhere/teacher.yaml", "COCO-Detection/faster_rcnn_R_999_FPN_3x.yaml"]
    )
    def test_that_is_neither_a_file_nor_in_the_zoo(self, name):
        text = refusal(pointing_at(name))
        assert f"{KEY}.CONFIG_FILE is {name!r}" in text
        assert "model zoo" in text

    @pytest.mark.parametrize(
        "content",
        [
            "MODEL: [unclosed",
            "MODEL: {ROI_HEADS: {NUM_CLASSES: many}}",
            "- a\n- list\n",
            "just a sentence",
            "",
            '_BASE_: "missing.yaml"\n',
            "VERSION: 99\n",
        ],
        ids=["syntax", "type", "list", "sentence", "empty", "base", "version"],
    )
    def test_that_is_not_a_config(self, file, content):
        file.write_text(content)
        assert f"{KEY}.CONFIG_FILE: {file} is not a config of Detectron2" in refusal(
            pointing_at(file)
        )

    def test_that_would_run_code(self, file, tmp_path):
        victim = tmp_path / "victim"
        file.write_text(f'MODEL: !!python/object/apply:os.mkdir ["{victim}"]\n')
        assert f"{KEY}.CONFIG_FILE: {file}" in refusal(pointing_at(file))
        assert not victim.exists()

    @pytest.mark.parametrize(
        "opts",
        [
            ["MODEL.ROI_HEADS.NUM_CLASSES"],
            ["MODEL.NO_SUCH_KEY", 1],
            ["MODEL.ROI_HEADS.NUM_CLASSES", "many"],
        ],
        ids=["odd", "unknown", "type"],
    )
    def test_whose_overrides_are_wrong(self, file, opts):
        text = refusal(pointing_at(file, opts=opts))
        assert f"{KEY}.OPTS is {opts!r}" in text
        assert "list of keys and values" in text

    def test_of_a_class_that_sees_images_in_its_own_way(self, tmp_path, monkeypatch):
        """Which the plain model that teaches in its place would not."""

        class Mine(TADistillRCNN):
            def preprocess_image(self, batched_inputs):
                images = super().preprocess_image(batched_inputs)
                images.tensor /= 255
                return images

        monkeypatch.setitem(META_ARCH_REGISTRY._obj_map, "Mine", Mine)
        path = tmp_path / "teacher.yaml"
        path.write_text(teacher_cfg("MODEL.META_ARCHITECTURE", "Mine").dump())
        text = refusal(pointing_at(path))
        assert "describes a Mine, a class below TADistillRCNN with a preprocess_image" in text


class TestWeights:
    def test_are_those_that_are_given(self, file):
        assert teacher_weights(pointing_at(file, "some/model.pth")) == "some/model.pth"
        assert teacher_weights(pointing_at(ZOO_NAME, "some/model.pth")) == "some/model.pth"

    def test_are_the_zoos_for_a_zoo_name(self):
        url = teacher_weights(pointing_at(ZOO_NAME))
        assert url == model_zoo.get_checkpoint_url(ZOO_NAME)
        assert "faster_rcnn_R_101_FPN_3x" in url

    def test_of_a_file_must_be_given(self, file):
        text = refusal(pointing_at(file), teacher_weights)
        assert f"{KEY}.WEIGHTS is empty" in text
        assert str(file) in text

    def test_of_a_zoo_config_that_was_never_trained_must_be_given(self):
        name = "Base-RCNN-FPN.yaml"
        text = refusal(pointing_at(name), teacher_weights)
        assert f"{KEY}.WEIGHTS is empty" in text
        assert name in text

    def test_of_a_file_under_the_name_of_a_zoo_config_must_be_given(self, tmp_path, monkeypatch):
        # One's own file hides the zoo's, whose weights would not be its.
        path = tmp_path / ZOO_NAME
        path.parent.mkdir()
        path.write_text(teacher_cfg().dump())
        monkeypatch.chdir(tmp_path)
        assert teacher_config(pointing_at(ZOO_NAME)).MODEL.FPN.OUT_CHANNELS == 16
        assert f"{KEY}.WEIGHTS is empty" in refusal(pointing_at(ZOO_NAME), teacher_weights)
