"""A user's own data, by name."""

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from tadistill.data import register_coco
from tadistill.engine import argument_parser
from tadistill.errors import ConfigError

pytestmark = pytest.mark.usefixtures("registered_datasets")


def test_are_there_under_their_names(coco_files):
    json, images = str(coco_files.annotations), str(coco_files.images)
    register_coco([("mine_train", json, images), ("mine_val", json, images)])
    assert len(DatasetCatalog.get("mine_train")) == len(DatasetCatalog.get("mine_val")) == 6
    assert MetadataCatalog.get("mine_val").thing_classes == ["blue", "green", "red"]
    assert MetadataCatalog.get("mine_val").evaluator_type == "coco"


def test_come_from_a_repeatable_argument():
    given = ["--register-coco", "a", "a.json", "a/", "--register-coco", "b", "b.json", "b/"]
    args = argument_parser().parse_args([*given, "--eval-teacher", "SEED", "3"])
    assert args.register_coco == [["a", "a.json", "a/"], ["b", "b.json", "b/"]]
    assert args.eval_teacher
    assert args.opts == ["SEED", "3"]
    assert argument_parser().parse_args([]).register_coco == []


def test_a_missing_annotation_file_is_named(coco_files, tmp_path):
    with pytest.raises(ConfigError) as error:
        register_coco([("mine", f"{tmp_path}/no.json", str(coco_files.images))])
    assert f"--register-coco mine {tmp_path}/no.json" in str(error.value)
    assert f"there is no file {tmp_path}/no.json" in str(error.value)


def test_a_missing_image_folder_is_named(coco_files, tmp_path):
    with pytest.raises(ConfigError, match=f"there is no folder {tmp_path}/no"):
        register_coco([("mine", str(coco_files.annotations), f"{tmp_path}/no")])


def test_a_name_that_is_taken_is_named(coco_files):
    taken = ("coco_2017_train", str(coco_files.annotations), str(coco_files.images))
    with pytest.raises(ConfigError, match="'coco_2017_train' exists already"):
        register_coco([taken])
