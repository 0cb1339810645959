"""The teacher's classes by name, as far as they can be known."""

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from tiny import save_teacher, student_cfg, teacher_cfg

from tadistill.data import register_coco
from tadistill.engine import check_before_training
from tadistill.engine.teacher_classes import check_teacher_classes, has_teacher
from tadistill.errors import ConfigError

pytestmark = pytest.mark.usefixtures("registered_datasets")


def register(name, *classes):
    DatasetCatalog.register(name, list)
    MetadataCatalog.get(name).thing_classes = list(classes)


@pytest.fixture
def cfg(tmp_path):
    """A student on "mine", of a teacher whose config says that it was trained on "theirs"."""
    register("mine", "blue", "green", "red")
    files = save_teacher(teacher_cfg("DATASETS.TRAIN", ("theirs",)), tmp_path)
    return student_cfg(files)


def test_the_same_are_said_to_be(cfg):
    register("theirs", "blue", "green", "red")
    notice = check_teacher_classes(cfg, "mine")
    assert notice.text == "the teacher's classes are those of mine, by name, as in theirs"
    assert not notice.warns


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("blue", "red", "green"), "the teacher's class 1 is 'red'"),
        (("cat", "dog", "sheep"), "the teacher's class 0 is 'cat'"),
    ],
)
def test_others_or_another_order_are_refused(cfg, classes, message):
    register("theirs", *classes)
    with pytest.raises(ConfigError) as error:
        check_teacher_classes(cfg, "mine")
    text = str(error.value)
    assert text.startswith(message)
    assert "MODEL.TADISTILL.TEACHER.CONFIG_FILE names theirs in DATASETS.TRAIN" in text
    assert "but that of mine is" in text


def test_the_user_may_know_better(cfg):
    """As the message says."""
    register("theirs", "azul", "verde", "rojo")
    cfg.merge_from_list(["MODEL.TADISTILL.TEACHER.OPTS", "['DATASETS.TRAIN', ()]"])
    notice = check_teacher_classes(cfg, "mine")
    assert notice.text.startswith("the names of the teacher's classes are not known")
    assert "names nothing in DATASETS.TRAIN" in notice.text


def test_a_data_set_that_is_not_registered_says_nothing(cfg):
    notice = check_teacher_classes(cfg, "mine")
    assert "are not known (MODEL.TADISTILL.TEACHER.CONFIG_FILE names theirs" in notice.text
    assert notice.text.endswith("only their number is compared with that of mine")


def test_a_data_set_that_has_not_been_read_says_nothing(cfg, coco_files):
    register_coco([("theirs", str(coco_files.annotations), str(coco_files.images))])
    assert "are not known" in check_teacher_classes(cfg, "mine").text


def test_a_data_set_of_another_number_of_classes_is_not_the_teachers(cfg):
    """A fine-tuned teacher, whose config still names what it was trained on before."""
    register("theirs", *(f"class {i}" for i in range(80)))
    assert "are not known" in check_teacher_classes(cfg, "mine").text


def test_a_data_set_of_the_students_without_names_is_left_alone(cfg):
    register("theirs", "blue", "green", "red")
    DatasetCatalog.register("nameless", list)
    assert "are not known" in check_teacher_classes(cfg, "nameless").text


def test_is_checked_before_training(cfg, coco_files):
    register_coco([("coco_mine", str(coco_files.annotations), str(coco_files.images))])
    cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = ("coco_mine",), ()
    register("theirs", "blue", "green", "red")
    assert "as in theirs" in check_before_training(cfg)[-1].text
    MetadataCatalog.remove("theirs")
    MetadataCatalog.get("theirs").thing_classes = ["red", "green", "blue"]
    with pytest.raises(ConfigError, match="the teacher's class 0 is 'red'"):
        check_before_training(cfg)
    cfg.MODEL.TADISTILL.ENABLED = False
    check_before_training(cfg)


def test_who_has_a_teacher(cfg):
    assert has_teacher(cfg)
    for key in ("FEATURE", "LOGIT", "BOX"):
        cfg.MODEL.TADISTILL[key].WEIGHT = 0.0
    assert has_teacher(cfg)  # whose proposals are shared
    cfg.MODEL.TADISTILL.PROPOSALS.SOURCE = "student"
    assert not has_teacher(cfg)
    assert not has_teacher(student_cfg(None))
    assert not has_teacher(teacher_cfg())
