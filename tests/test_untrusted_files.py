"""Files that try to run code, at every door: refused by name, and nothing of them has run.

The attacks are made by ``tools/drills/attacks.py``; the drill beside it sends all of them through
``train_net.py``.
"""

import os
import sys
import time
from pathlib import Path

import pytest
import yaml
from tiny import build, plain_cfg, student_cfg

import train_net
from tadistill import add_tadistill_config
from tadistill.checkpoint import UnreadableFileError, UnsafeFileError, read_checkpoint
from tadistill.data import register_coco
from tadistill.engine import TADistillTrainer, evaluate_student, evaluate_teacher
from tadistill.engine.arguments import argument_parser
from tadistill.engine.evaluation import load_student
from tadistill.errors import ConfigError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "projects/TADistill/tools/drills"))
import attacks

pytestmark = [
    pytest.mark.usefixtures("registered_datasets"),
    pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning"),
]
TEACHER = "MODEL.TADISTILL.TEACHER"


@pytest.fixture(autouse=True)
def _torch_is_told_to_trust_files(monkeypatch):
    """So that it is not torch's default that refuses them."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")


@pytest.fixture(scope="module")
def weights_attacks(tmp_path_factory):
    return list(attacks.weights_attacks(tmp_path_factory.mktemp("weights")))


def test_every_attack_runs_its_code_when_the_file_is_opened_without_care(tmp_path):
    """Otherwise their refusal would show nothing."""
    all_of_them = list(attacks.weights_attacks(tmp_path))
    for attack in all_of_them:
        attacks.open_without_care(attack.path)
    deadline = time.monotonic() + 20  # subprocess.Popen does not wait
    while (dead := [a.name for a in all_of_them if not a.succeeded()]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.1)
    assert not dead
    assert len(all_of_them) > 150


def test_every_attack_is_refused_by_the_names_of_file_and_function(weights_attacks):
    for attack in weights_attacks:
        with pytest.raises(ConfigError) as error:
            read_checkpoint(str(attack.path))
        assert str(attack.path) in str(error.value), attack.name
        if attack.path.suffix == ".safetensors":
            assert isinstance(error.value, UnreadableFileError), attack.name
        else:
            assert isinstance(error.value, UnsafeFileError), attack.name
            assert attack.asks_for in str(error.value), attack.name
    assert [attack.name for attack in weights_attacks if attack.succeeded()] == []


@pytest.fixture
def cfg(coco_files, tmp_path):
    register_coco([("mine", str(coco_files.annotations), str(coco_files.images))])
    return student_cfg(
        None,
        *("DATASETS.TRAIN", ("mine",), "DATASETS.TEST", ("mine",)),
        *("OUTPUT_DIR", str(tmp_path), "SOLVER.MAX_ITER", 1),
    )


def as_teacher(cfg, path, teacher_files):
    cfg.MODEL.TADISTILL.ENABLED = True
    cfg.MODEL.TADISTILL.TEACHER.CONFIG_FILE = str(teacher_files.config)
    cfg.MODEL.TADISTILL.TEACHER.WEIGHTS = str(path)


def teacher(cfg, path, teacher_files):
    as_teacher(cfg, path, teacher_files)
    build(cfg)


def teacher_evaluated(cfg, path, teacher_files):
    as_teacher(cfg, path, teacher_files)
    evaluate_teacher(cfg)


def student(cfg, path, teacher_files):
    cfg.MODEL.WEIGHTS = str(path)
    TADistillTrainer(cfg).resume_or_load(resume=False)


def student_of_a_plain_training(cfg, path, teacher_files):
    plain = plain_cfg("DATASETS.TRAIN", ("mine",), "DATASETS.TEST", ())
    add_tadistill_config(plain)
    plain.OUTPUT_DIR = cfg.OUTPUT_DIR
    student(plain, path, teacher_files)


def last_checkpoint(cfg, path):
    Path(cfg.OUTPUT_DIR, "last_checkpoint").write_text(os.path.relpath(path, cfg.OUTPUT_DIR))


def resumed(cfg, path, teacher_files):
    last_checkpoint(cfg, path)
    TADistillTrainer(cfg).resume_or_load(resume=True)


def evaluated(cfg, path, teacher_files):
    cfg.MODEL.WEIGHTS = str(path)
    evaluate_student(cfg, cfg.OUTPUT_DIR)


def evaluated_on_resume(cfg, path, teacher_files):
    last_checkpoint(cfg, path)
    evaluate_student(cfg, cfg.OUTPUT_DIR, resume=True)


def backbone_of_timm(cfg, path, teacher_files):
    cfg.MODEL.BACKBONE.NAME = "build_timm_fpn_backbone"
    cfg.MODEL.TIMM.NAME = "test_efficientnet"
    cfg.MODEL.TIMM.WEIGHTS = str(path)
    build(cfg)


def exported(cfg, path, teacher_files):
    load_student(cfg, str(path), "CHECKPOINT")


@pytest.mark.parametrize(
    ("enter", "source"),
    [
        (backbone_of_timm, "MODEL.TIMM.WEIGHTS"),
        (teacher, f"{TEACHER}.WEIGHTS"),
        (teacher_evaluated, f"{TEACHER}.WEIGHTS"),
        (student, "MODEL.WEIGHTS"),
        (student_of_a_plain_training, "MODEL.WEIGHTS"),
        (resumed, "--resume"),
        (evaluated, "MODEL.WEIGHTS"),
        (evaluated_on_resume, "--resume"),
        (exported, "CHECKPOINT"),
    ],
)
def test_one_attack_of_each_format_is_refused_at_every_door(
    cfg, enter, source, teacher_files, weights_attacks
):
    tried = [attack for attack in weights_attacks if attack.payload == "os.system"]
    assert {attack.path.suffix for attack in tried} == {".pkl", ".pth", ".pyth", ".safetensors"}
    for attack in tried:
        with pytest.raises(ConfigError) as error:
            enter(cfg.clone(), attack.path, teacher_files)
        text = str(error.value)
        assert text.startswith(f"{source}: "), attack.name
        assert attack.path.parts[-2:] == Path(text.split()[1]).parts[-2:], attack.name
        assert not attack.succeeded(), attack.name


def through_train_net(cfg, path):
    train_net.main(argument_parser().parse_args(["--config-file", str(path)]))


def through_the_teacher(cfg, path):
    cfg.MODEL.TADISTILL.ENABLED = True
    cfg.MODEL.TADISTILL.TEACHER.CONFIG_FILE = str(path)
    build(cfg)


class TestAConfigWithATagOfPython:
    @pytest.fixture
    def marker(self, tmp_path):
        return tmp_path / "marker"

    def test_runs_its_code_when_it_is_opened_without_care(self, marker):
        for text in attacks.config_attacks(marker).values():
            yaml.unsafe_load(text)
            marker.unlink()

    @pytest.mark.parametrize("place", ["itself", "base", "list of bases", "base of the base"])
    @pytest.mark.parametrize(
        ("enter", "door"),
        [
            (through_train_net, "--config-file"),
            (through_the_teacher, f"{TEACHER}.CONFIG_FILE"),
        ],
    )
    def test_is_refused_by_name(self, cfg, tmp_path, marker, place, enter, door):
        for tag, text in attacks.config_attacks(marker).items():
            bad = tmp_path / ("first.yaml" if place == "itself" else "bad.yaml")
            bad.write_text(text)
            if place == "base":
                (tmp_path / "first.yaml").write_text("_BASE_: bad.yaml\n")
            elif place == "list of bases":
                (tmp_path / "harmless.yaml").write_text("SEED: 3\n")
                (tmp_path / "first.yaml").write_text("_BASE_: [harmless.yaml, bad.yaml]\n")
            elif place == "base of the base":
                (tmp_path / "second.yaml").write_text("_BASE_: ./bad.yaml\n")
                (tmp_path / "first.yaml").write_text("_BASE_: second.yaml\n")
            with pytest.raises(ConfigError) as error:
                enter(cfg, tmp_path / "first.yaml")
            assert str(error.value).startswith(f"{door}: {tmp_path}/")
            assert bad.name in str(error.value)
            assert f"'{tag}'" in str(error.value)
            assert not marker.exists()


def test_precomputed_proposals_which_detectron2_unpickles_are_refused(cfg):
    cfg.MODEL.LOAD_PROPOSALS = True
    with pytest.raises(ConfigError, match=r"MODEL\.LOAD_PROPOSALS is True"):
        evaluate_student(cfg, cfg.OUTPUT_DIR)
