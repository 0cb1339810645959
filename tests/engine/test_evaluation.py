"""The student alone and the teacher alone, scored by COCO."""

import json
import math

import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.evaluation import COCOEvaluator, inference_on_dataset
from tiny import build, liven, save_teacher, student_cfg, teacher_cfg

from tadistill import export_student
from tadistill.data import register_coco
from tadistill.engine import TADistillTrainer, evaluate_student, evaluate_teacher
from tadistill.errors import ConfigError

pytestmark = pytest.mark.usefixtures("registered_datasets")


@pytest.fixture
def cfg(coco_files, teacher_files, tmp_path):
    register_coco([("mine", str(coco_files.annotations), str(coco_files.images))])
    return student_cfg(
        teacher_files,
        *("DATASETS.TRAIN", (), "DATASETS.TEST", ("mine",), "OUTPUT_DIR", str(tmp_path)),
    )


@pytest.fixture
def student(cfg):
    return liven(build(cfg))


def detections(directory):
    return json.loads((directory / "inference" / "coco_instances_results.json").read_text())


def scored(cfg, model, directory):
    """The scores and detections of stock Detectron2."""
    evaluator = COCOEvaluator("mine", output_dir=str(directory / "inference"), use_fast_impl=False)
    loader = TADistillTrainer.build_test_loader(cfg, "mine")
    return inference_on_dataset(model, loader, evaluator)["bbox"], detections(directory)


def without_nan(scores):
    return {name: None if math.isnan(score) else score for name, score in scores.items()}


@pytest.mark.parametrize("kind", ["training checkpoint", "plain student"])
def test_a_student_is_scored_from_any_of_its_files_without_a_teacher(
    cfg, student, tmp_path, kind, monkeypatch
):
    expected, found = scored(cfg, student.student, tmp_path / "stock")
    if kind == "training checkpoint":
        DetectionCheckpointer(student, str(tmp_path)).save("model_0000004", iteration=4)
        cfg.MODEL.WEIGHTS = str(tmp_path / "model_0000004.pth")
    else:
        cfg.MODEL.WEIGHTS, _ = export_student(student, cfg, str(tmp_path))

    def forbidden(cfg):
        raise AssertionError("a teacher was built")

    monkeypatch.setattr("tadistill.rcnn.build_teacher", forbidden)
    results = evaluate_student(cfg, str(tmp_path))
    assert without_nan(results["bbox"]) == without_nan(expected)
    assert detections(tmp_path) == found
    assert len(found) == 60


def test_results_are_written_beside(cfg, student, tmp_path):
    cfg.MODEL.WEIGHTS, _ = export_student(student, cfg, str(tmp_path))
    results = evaluate_student(cfg, str(tmp_path))

    def constant(name):
        raise AssertionError(f"{name} is not JSON")

    text = (tmp_path / "results.json").read_text()
    written = json.loads(text, parse_constant=constant)
    assert written["bbox"] == without_nan(results["bbox"])
    assert {"AP", "AP50", "AP75"} <= set(written["bbox"])


def test_where_nothing_can_be_scored_detections_are_written(cfg, student, coco_files, tmp_path):
    """COCO's test-dev has images and no annotations: the detections are what is sent in."""
    _, found = scored(cfg, student.student, tmp_path / "stock")
    content = json.loads(coco_files.annotations.read_text())
    del content["annotations"]
    (tmp_path / "test-dev.json").write_text(json.dumps(content))
    register_coco([("unlabelled", str(tmp_path / "test-dev.json"), str(coco_files.images))])
    cfg.DATASETS.TEST = ("unlabelled",)
    cfg.MODEL.WEIGHTS, _ = export_student(student, cfg, str(tmp_path))
    assert evaluate_student(cfg, str(tmp_path)) == {}
    assert detections(tmp_path) == found
    assert json.loads((tmp_path / "results.json").read_text()) == {}


def test_the_last_checkpoint_is_taken_on_resume(cfg, student, tmp_path):
    _, found = scored(cfg, student.student, tmp_path / "stock")
    DetectionCheckpointer(student, str(tmp_path)).save("model_0000004", iteration=4)
    cfg.MODEL.WEIGHTS = "an/older.pth"
    evaluate_student(cfg, str(tmp_path), resume=True)
    assert detections(tmp_path) == found


def test_no_weights_at_all_are_an_error_that_names_the_key(cfg, tmp_path):
    for resume in (False, True):
        with pytest.raises(ConfigError, match=r"MODEL\.WEIGHTS is empty"):
            evaluate_student(cfg, str(tmp_path), resume)


def test_a_file_that_lacks_a_tensor_is_not_evaluated(cfg, student, tmp_path):
    state = student.state_dict()
    del state["backbone.fpn_output2.weight"]
    torch.save({"model": state}, tmp_path / "part.pth")
    cfg.MODEL.WEIGHTS = str(tmp_path / "part.pth")
    with pytest.raises(ConfigError) as error:
        evaluate_student(cfg, str(tmp_path))
    assert "MODEL.WEIGHTS: " in str(error.value)
    assert "backbone.fpn_output2.weight" in str(error.value)


@pytest.mark.parametrize("order", ["BGR", "RGB"])
def test_a_teacher_is_scored_as_it_would_be_alone(cfg, tmp_path, order):
    own = teacher_cfg("INPUT.FORMAT", order)
    files = save_teacher(own, tmp_path)
    alone = build(own)
    alone.load_state_dict(torch.load(files.weights)["model"])
    expected, found = scored(own, alone, tmp_path / "stock")

    cfg.MODEL.TADISTILL.TEACHER.CONFIG_FILE = str(files.config)
    cfg.MODEL.TADISTILL.TEACHER.WEIGHTS = str(files.weights)
    results = evaluate_teacher(cfg)
    assert without_nan(results["bbox"]) == without_nan(expected)
    assert detections(tmp_path) == found


@pytest.mark.parametrize("evaluate", [lambda cfg: evaluate_student(cfg, "."), evaluate_teacher])
@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (("DATASETS.TEST", ()), "DATASETS.TEST is empty"),
        (("DATASETS.TEST", ("nobodys",)), "DATASETS.TEST names 'nobodys'"),
        (("MODEL.ROI_HEADS.NUM_CLASSES", 4), "MODEL.ROI_HEADS.NUM_CLASSES is 4"),
    ],
)
def test_what_cannot_be_evaluated_is_said_first(cfg, evaluate, opts, message):
    cfg.merge_from_list(list(opts))
    with pytest.raises(ConfigError, match=message):
        evaluate(cfg)


@pytest.mark.parametrize("evaluate", [lambda cfg: evaluate_student(cfg, "."), evaluate_teacher])
def test_test_time_augmentation_is_refused_not_ignored(cfg, evaluate):
    cfg.TEST.AUG.ENABLED = True
    with pytest.raises(ConfigError, match=r"TEST\.AUG\.ENABLED is True"):
        evaluate(cfg)


def test_expected_results_are_verified(cfg, student, tmp_path):
    cfg.MODEL.WEIGHTS, _ = export_student(student, cfg, str(tmp_path))
    ap = evaluate_student(cfg, str(tmp_path))["bbox"]["AP"]
    cfg.TEST.EXPECTED_RESULTS = [["bbox", "AP", ap, 1e-6]]
    assert evaluate_student(cfg, str(tmp_path))["bbox"]["AP"] == ap
    cfg.TEST.EXPECTED_RESULTS = [["bbox", "AP", ap + 1, 0.5]]
    with pytest.raises(SystemExit) as end:
        evaluate_student(cfg, str(tmp_path))
    assert end.value.code == 1


@pytest.mark.parametrize("resume", [False, True])
def test_an_error_names_where_the_file_was_named(cfg, student, tmp_path, resume):
    path = tmp_path / "model_0000004.pth"
    DetectionCheckpointer(student.backbone, str(tmp_path)).save(path.stem, iteration=4)
    cfg.MODEL.WEIGHTS = str(path)
    with pytest.raises(ConfigError) as error:
        evaluate_student(cfg, str(tmp_path), resume)
    source = "--resume" if resume else "MODEL.WEIGHTS"
    assert str(error.value).startswith(f"{source}: {path} does not fill the model")


def test_several_datasets_are_written_to_a_folder_each(cfg, student, coco_files, tmp_path):
    register_coco([("more", str(coco_files.annotations), str(coco_files.images))])
    cfg.DATASETS.TEST = ("mine", "more")
    cfg.MODEL.WEIGHTS, _ = export_student(student, cfg, str(tmp_path))
    results = evaluate_student(cfg, str(tmp_path))
    assert list(results) == ["mine", "more"]
    folders = [tmp_path / "inference" / name for name in ("mine", "more")]
    found = [json.loads((f / "coco_instances_results.json").read_text()) for f in folders]
    assert len(found[0]) == 60
    assert found[0] == found[1]
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["more"]["bbox"] == without_nan(results["more"]["bbox"])
