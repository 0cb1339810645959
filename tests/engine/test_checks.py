"""What is known to be wrong before the first step is spent."""

import argparse
import json

import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils import comm
from detectron2.utils.file_io import PathManager
from tiny import plain_cfg

from tadistill import add_tadistill_config
from tadistill.data import Use, register_coco
from tadistill.engine import (
    argument_parser,
    check_before_launch,
    check_before_training,
)
from tadistill.engine.checks import check_datasets
from tadistill.errors import ConfigError

pytestmark = pytest.mark.usefixtures("registered_datasets")


@pytest.fixture
def cfg(coco_files):
    register_coco([("mine", str(coco_files.annotations), str(coco_files.images))])
    return plain_cfg("DATASETS.TRAIN", ("mine",), "DATASETS.TEST", ("mine",))


def refusal(cfg):
    with pytest.raises(ConfigError) as error:
        check_before_training(cfg)
    return str(error.value)


def test_nothing_wrong_says_nothing(cfg):
    check_before_training(cfg)
    cfg.DATASETS.TEST = ()
    check_before_training(cfg)


@pytest.mark.parametrize("key", ["TRAIN", "TEST"])
def test_a_dataset_that_is_not_registered(cfg, key):
    cfg.DATASETS[key] = ("mine", "nobodys")
    text = refusal(cfg)
    assert f"DATASETS.{key} names 'nobodys'" in text
    assert "--register-coco nobodys" in text


def test_no_dataset_to_train_on(cfg):
    cfg.DATASETS.TRAIN = ()
    assert "DATASETS.TRAIN is empty" in refusal(cfg)


def test_another_number_of_classes_than_the_dataset(cfg):
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = 80
    text = refusal(cfg)
    assert "MODEL.ROI_HEADS.NUM_CLASSES is 80" in text
    assert "mine (DATASETS.TRAIN) has 3 classes (blue, green, red); set it to 3" in text


def test_a_dataset_that_cannot_be_read(cfg, tmp_path, coco_files):
    path = tmp_path / "broken.json"
    path.write_text("{")
    register_coco([("broken", str(path), str(coco_files.images))])
    cfg.DATASETS.TEST = ("broken",)
    text = refusal(cfg)
    assert f"DATASETS.TEST: broken cannot be read from {path}" in text
    assert "JSONDecodeError" in text


class TestADataSetOfAnotherFormat:
    """Detectron2 reads it at its evaluation, which is after the last step."""

    @pytest.fixture
    def own_format(self, cfg, coco_files):
        paths = sorted(coco_files.images.iterdir())
        records = [{"file_name": str(paths[0])}, *({"file_name": path} for path in paths[1:])]
        DatasetCatalog.register("own_format", lambda: records)
        MetadataCatalog.get("own_format").thing_classes = ["blue", "green", "red"]
        cfg.DATASETS.TEST = ("own_format",)
        return records

    def test_that_is_sound(self, cfg, own_format):
        assert len(own_format) > 1
        check_before_training(cfg)

    def test_whose_images_are_not_there(self, cfg, own_format):
        own_format[1] = {"file_name": "/nowhere/1.png"}
        text = refusal(cfg)
        total = len(own_format)
        assert f"DATASETS.TEST: 1 of the {total} image files of own_format are not" in text
        assert "(/nowhere/1.png)" in text

    def test_in_cocos_with_the_paths_in_its_records_alone(self, cfg, own_format, coco_files):
        metadata = MetadataCatalog.get("own_format")
        metadata.set(json_file=str(coco_files.annotations), evaluator_type="coco")
        check_before_training(cfg)
        own_format[1] = {"file_name": "/nowhere/1.png"}
        assert "of own_format are not there" in refusal(cfg)

    def test_that_cannot_be_read(self, cfg):
        def broken():
            raise FileNotFoundError("ImageSets/Main/test.txt")

        DatasetCatalog.register("own_format", broken)
        MetadataCatalog.get("own_format").thing_classes = ["blue", "green", "red"]
        cfg.DATASETS.TEST = ("own_format",)
        assert "DATASETS.TEST: own_format cannot be read from own_format: FileNotF" in refusal(cfg)


@pytest.mark.parametrize("batch", [0, -2])
def test_a_batch_of_nothing(cfg, batch):
    cfg.SOLVER.IMS_PER_BATCH = batch
    assert f"SOLVER.IMS_PER_BATCH is {batch}; it must be 1 or more" in refusal(cfg)


@pytest.mark.parametrize(
    ("key", "value"),
    [("SOLVER.MAX_ITER", 0), ("SOLVER.CHECKPOINT_PERIOD", 0), ("DATALOADER.NUM_WORKERS", -1)],
)
def test_numbers_that_are_too_small(cfg, key, value):
    cfg.merge_from_list([key, value])
    assert f"{key} is {value}; it must be {value + 1} or more" in refusal(cfg)


def test_no_size_at_all(cfg):
    cfg.INPUT.MIN_SIZE_TRAIN = ()
    assert "INPUT.MIN_SIZE_TRAIN is empty" in refusal(cfg)


def test_a_device_that_torch_does_not_know(cfg):
    cfg.MODEL.DEVICE = "gpu"
    assert "MODEL.DEVICE is 'gpu', which torch does not know" in refusal(cfg)


def test_a_gpu_that_is_not_there(cfg, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    cfg.MODEL.DEVICE = "cuda"
    text = refusal(cfg)
    assert "MODEL.DEVICE is 'cuda'" in text
    assert "MODEL.DEVICE cpu" in text


def test_a_gpu_that_is_there_is_no_problem(cfg, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    cfg.MODEL.DEVICE = "cuda"
    cfg.SOLVER.AMP.ENABLED = True
    check_before_training(cfg)


@pytest.mark.parametrize(
    ("images", "reference", "processes", "number"),
    [(8, 0, 3, 3), (1, 0, 2, 2), (8, 3, 4, 3), (8, 4, 3, None), (8, 0, 4, None), (3, 0, 1, None)],
)
def test_a_batch_that_the_processes_cannot_share(cfg, images, reference, processes, number):
    cfg.SOLVER.IMS_PER_BATCH, cfg.SOLVER.REFERENCE_WORLD_SIZE = images, reference
    if number is None:
        check_before_training(cfg, processes)
        return
    with pytest.raises(ConfigError) as error:
        check_before_training(cfg, processes)
    assert f"SOLVER.IMS_PER_BATCH is {images}" in str(error.value)
    name = "SOLVER.REFERENCE_WORLD_SIZE" if reference else "the number of processes"
    assert f"{name} is {number}" in str(error.value)


def test_mixed_precision_without_a_gpu(cfg):
    cfg.SOLVER.AMP.ENABLED = True
    assert "SOLVER.AMP.ENABLED is True" in refusal(cfg)


def register_changed(name, coco_files, tmp_path, change):
    """The tiny dataset under another name, its annotation file changed in place by ``change``."""
    content = json.loads(coco_files.annotations.read_text())
    change(content)
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(content))
    register_coco([(name, str(path), str(coco_files.images))])
    return path


def rename(content):
    content["categories"][1]["name"] = "yellow"


def reorder(content):
    names = [category["name"] for category in content["categories"]]
    for category, name in zip(content["categories"], reversed(names), strict=True):
        category["name"] = name


@pytest.mark.parametrize(
    ("change", "classes"), [(rename, "blue, yellow, red"), (reorder, "red, green, blue")]
)
def test_other_classes_to_test_on_than_to_train_on(cfg, coco_files, tmp_path, change, classes):
    register_changed("other", coco_files, tmp_path, change)
    cfg.DATASETS.TEST = ("other",)
    text = refusal(cfg)
    assert text.startswith("other (DATASETS.TEST) and mine have other classes")
    assert text.endswith(f": {classes} and blue, green, red")


def test_datasets_are_checked_under_the_key_that_they_are_given_with(cfg):
    use = Use(scored=False)
    check_datasets(cfg, {"MY.KEY": (("mine",), use), "MY.OTHER": ((), use)})
    with pytest.raises(ConfigError, match=r"MY\.OTHER names 'nobodys'"):
        check_datasets(cfg, {"MY.KEY": (("mine",), use), "MY.OTHER": (("nobodys",), use)})


@pytest.mark.parametrize(
    ("opts", "kept"),
    [
        ((), False),
        (("DATALOADER.FILTER_EMPTY_ANNOTATIONS", False), True),
        # Which leaves out images by their number of keypoints all the same.
        (("DATALOADER.FILTER_EMPTY_ANNOTATIONS", False, "MODEL.KEYPOINT_ON", True), False),
    ],
)
def test_images_without_boxes_are_of_use_where_detectron2_keeps_them(cfg, opts, kept):
    cfg.merge_from_list(list(opts))
    assert Use.in_training(cfg).without_boxes is kept


def test_classes_in_a_tuple_are_those_in_a_list(cfg):
    classes = MetadataCatalog.get("mine").thing_classes = ["blue", "green", "red"]
    DatasetCatalog.register("by_code", list)
    MetadataCatalog.get("by_code").thing_classes = tuple(classes)
    use = Use(scored=False)
    check_datasets(cfg, {"MY.KEY": (("mine", "by_code"), use)})
    MetadataCatalog.pop("by_code")
    MetadataCatalog.get("by_code").thing_classes = ("red", "green", "blue")
    with pytest.raises(ConfigError, match=r"by_code .* and mine have other classes"):
        check_datasets(cfg, {"MY.KEY": (("mine", "by_code"), use)})


@pytest.mark.parametrize("gone", ["annotations", "images"])
def test_files_of_a_dataset_that_are_gone(cfg, coco_files, tmp_path, gone):
    images = tmp_path / "images"
    images.mkdir()
    annotations = tmp_path / "moved.json"
    annotations.write_text(coco_files.annotations.read_text())
    register_coco([("moved", str(annotations), str(images))])
    path = {"annotations": annotations, "images": images}[gone]
    path.rename(tmp_path / "elsewhere")
    cfg.DATASETS.TEST = ("moved",)
    text = refusal(cfg)
    assert f"DATASETS.TEST: the dataset moved is to lie at {path}, where nothing is" in text
    assert "DETECTRON2_DATASETS" in text


@pytest.mark.parametrize(
    ("name", "place"), [("coco_2017_val", "json_file"), ("voc_2007_test", "dirname")]
)
def test_files_of_detectron2s_own_datasets_that_are_not_there(cfg, name, place):
    path = MetadataCatalog.get(name).get(place)
    if PathManager.exists(path):
        pytest.skip(f"this machine has {path}")
    cfg.DATASETS.TRAIN = (name,)
    text = refusal(cfg)
    assert f"DATASETS.TRAIN: the dataset {name} is to lie at {path}" in text
    assert "DETECTRON2_DATASETS" in text


def test_a_dataset_without_files_is_no_problem(cfg):
    DatasetCatalog.register("made_up", list)
    MetadataCatalog.get("made_up").thing_classes = ["blue", "green", "red"]
    cfg.DATASETS.TRAIN = ("made_up",)
    check_before_training(cfg)


@pytest.mark.parametrize("key", ["iscrowd", "area"])
def test_annotations_to_test_on_that_coco_cannot_score(cfg, coco_files, tmp_path, key):
    def without(content):
        for annotation in content["annotations"][1:]:
            del annotation[key]

    total = len(json.loads(coco_files.annotations.read_text())["annotations"])
    path = register_changed("bare", coco_files, tmp_path, without)
    cfg.DATASETS.TEST = ("bare",)
    text = refusal(cfg)
    assert (
        f"DATASETS.TEST: bare ({path}): {total - 1} of {total} annotations have no {key!r}" in text
    )
    cfg.DATASETS.TRAIN = ("bare",)  # read already when it is to be tested on
    assert f"annotations have no {key!r}" in refusal(cfg)


def test_nothing_to_test_on(cfg, coco_files, tmp_path):
    path = register_changed(
        "empty", coco_files, tmp_path, lambda content: content.pop("annotations")
    )
    cfg.DATASETS.TEST = ("empty",)
    assert f"DATASETS.TEST: empty ({path}) has no annotations" in refusal(cfg)


@pytest.mark.parametrize("key", ["iscrowd", "area"])
def test_annotations_to_train_on_need_less(cfg, coco_files, tmp_path, key):
    def without(content):
        for annotation in content["annotations"]:
            del annotation[key]

    register_changed("bare", coco_files, tmp_path, without)
    cfg.DATASETS.TRAIN = ("bare",)
    check_before_training(cfg)


def test_annotations_are_examined_and_what_was_counted_is_handed_on(cfg, coco_files, tmp_path):
    def flatten(content):
        content["annotations"][0]["bbox"][2] = 0

    path = register_changed("flat", coco_files, tmp_path, flatten)
    cfg.DATASETS.TRAIN = ("mine", "flat")
    train, flat, test = check_before_training(cfg)
    assert train.text.startswith("DATASETS.TRAIN: mine (")
    assert flat.text.startswith(f"DATASETS.TRAIN: flat ({path}): 6 images")
    assert test.text.startswith("DATASETS.TEST: mine (")
    assert [notice.warns for notice in (train, flat, test)] == [False, True, False]


def test_a_missing_image_is_known_before_the_training(cfg, coco_files, tmp_path):
    register_changed(
        "gone",
        coco_files,
        tmp_path,
        lambda content: content["images"][0].update(file_name="gone.png"),
    )
    cfg.DATASETS.TEST = ("gone",)
    text = refusal(cfg)
    assert text.startswith("DATASETS.TEST: gone (")
    assert "1 of 6 image files are not in" in text


def test_one_process_of_several_examines_the_annotations(cfg, monkeypatch):
    monkeypatch.setattr(comm, "is_main_process", lambda: False)
    assert check_before_training(cfg) == []


def test_masks_of_boxes_that_have_none(cfg, coco_files):
    cfg.MODEL.MASK_ON = True
    total = len(json.loads(coco_files.annotations.read_text())["annotations"])
    assert f"{total} annotations (id 1, 2, 3, 4, …) have no segmentation, which" in refusal(cfg)


def test_weights_to_start_from_that_are_no_file(cfg, tmp_path):
    for path in (tmp_path / "no.pth", tmp_path):
        cfg.MODEL.WEIGHTS = str(path)
        assert f"MODEL.WEIGHTS is {str(path)!r}" in refusal(cfg)
    path = tmp_path / "some.pth"
    path.write_text("opened later")
    cfg.MODEL.WEIGHTS = str(path)
    check_before_training(cfg)


def test_weights_to_start_from_are_not_looked_for_by_one_that_goes_on(cfg, tmp_path):
    cfg.MODEL.WEIGHTS, cfg.OUTPUT_DIR = str(tmp_path / "gone.pth"), str(tmp_path)
    with pytest.raises(ConfigError, match="where the student is to start"):
        check_before_training(cfg, resume=True)  # there is nothing to go on with
    (tmp_path / "model_0000001.pth").write_text("opened later")
    check_before_training(cfg, resume=True)

    add_tadistill_config(cfg)
    cfg.MODEL.BACKBONE.NAME = "build_timm_fpn_backbone"  # which is built with its own
    cfg.MODEL.TIMM.WEIGHTS = str(tmp_path / "no.pth")
    with pytest.raises(ConfigError, match=r"MODEL\.TIMM\.WEIGHTS: there is no file"):
        check_before_training(cfg, resume=True)


def test_weights_for_a_backbone_of_timm_that_are_no_file(cfg, tmp_path):
    add_tadistill_config(cfg)
    cfg.MODEL.TIMM.WEIGHTS = str(tmp_path / "no.pth")
    check_before_training(cfg)  # the backbone is another one
    cfg.MODEL.BACKBONE.NAME = "build_timm_fpn_backbone"
    text = refusal(cfg)
    assert f"MODEL.TIMM.WEIGHTS: there is no file {tmp_path / 'no.pth'}" in text
    for nothing_to_look_for in ("", "timm"):
        cfg.MODEL.TIMM.WEIGHTS = nothing_to_look_for
        check_before_training(cfg)


@pytest.mark.parametrize(
    "url", ["detectron2://ImageNetPretrained/MSRA/R-50.pkl", "https://nowhere.invalid/model.pth"]
)
def test_weights_at_an_address_are_left_to_the_download(cfg, monkeypatch, url):
    def forbidden(path):
        raise AssertionError(f"{path} was looked at")

    monkeypatch.setattr(PathManager, "isfile", forbidden)
    cfg.MODEL.WEIGHTS = url
    check_before_training(cfg)


class TestBeforeProcessesAreLaunched:
    @pytest.fixture
    def cfg(self, cfg, tmp_path):
        cfg.OUTPUT_DIR = str(tmp_path / "run")
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "student_final.pth").write_text("weights")
        return cfg

    @pytest.fixture(autouse=True)
    def _two_gpus(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    def args(self, **changes):
        args = argument_parser().parse_args(["--num-gpus", "2"])
        return argparse.Namespace(**{**vars(args), **changes})

    def refusal(self, cfg, **changes):
        with pytest.raises(ConfigError) as error:
            check_before_launch(cfg, self.args(**changes))
        return str(error.value)

    @pytest.mark.parametrize("mode", [{}, {"eval_only": True}, {"eval_teacher": True}])
    def test_each_needs_a_gpu(self, cfg, monkeypatch, mode):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        cfg.MODEL.DEVICE = "cuda"
        text = self.refusal(cfg, **mode)
        assert text.startswith("--num-gpus is 2, but torch sees 1 GPUs")
        assert "MODEL.DEVICE cpu" in text

    @pytest.mark.parametrize("mode", [{}, {"eval_only": True}, {"eval_teacher": True}])
    def test_each_has_a_gpu_of_its_own(self, cfg, monkeypatch, mode):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        cfg.MODEL.DEVICE = "cuda:0"
        text = self.refusal(cfg, **mode)
        assert text.startswith("MODEL.DEVICE is 'cuda:0', but there are 2 processes")
        check_before_launch(cfg, self.args(eval_only=True, num_gpus=1))
        machines = {"num_machines": 2, "dist_url": "tcp://first:29500"}
        check_before_launch(cfg, self.args(eval_only=True, num_gpus=1, **machines))

    def test_on_the_cpu_there_may_be_any_number_of_them(self, cfg, monkeypatch):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
        check_before_launch(cfg, self.args(eval_only=True))

    def test_each_gets_as_many_images(self, cfg):
        cfg.SOLVER.IMS_PER_BATCH = 6
        text = self.refusal(cfg, num_machines=2)
        assert "SOLVER.IMS_PER_BATCH is 6" in text
        assert "the number of processes is 4" in text
        check_before_launch(cfg, self.args(num_machines=2, eval_only=True))

    def test_several_machines_need_an_address(self, cfg):
        text = self.refusal(cfg, num_machines=2, dist_url="auto", eval_only=True)
        assert text.startswith("--dist-url is 'auto', but --num-machines is 2")

    def test_the_datasets_are_checked(self, cfg):
        cfg.DATASETS.TRAIN = ("nobodys",)
        assert "DATASETS.TRAIN names 'nobodys'" in self.refusal(cfg)

    def test_the_run_directory_is_checked_where_it_is_written(self, cfg):
        assert f"OUTPUT_DIR {cfg.OUTPUT_DIR} holds a run already" in self.refusal(cfg)
        assert "no checkpoint of a training" in self.refusal(cfg, resume=True)
        check_before_launch(cfg, self.args(machine_rank=1))

    @pytest.mark.parametrize("mode", ["eval_only", "eval_teacher"])
    def test_an_evaluation_needs_neither_training_data_nor_a_free_directory(self, cfg, mode):
        cfg.DATASETS.TRAIN = ()
        check_before_launch(cfg, self.args(**{mode: True}))
