"""The config keys: declared once, read everywhere, and wrong values named with their key."""

import pytest
from detectron2.config import CfgNode, get_cfg
from tiny import build, plain_cfg, student_cfg

from tadistill import add_tadistill_config
from tadistill.errors import ConfigError
from tadistill.options import (
    BoxOptions,
    DistillationOptions,
    FeatureOptions,
    LogitOptions,
    SharingOptions,
)


@pytest.fixture
def cfg():
    cfg = get_cfg()
    add_tadistill_config(cfg)
    return cfg


def test_the_defaults_are_those_of_the_method(cfg):
    options = DistillationOptions.from_cfg(cfg)
    assert options == DistillationOptions()
    assert options.feature.sigma**2 == pytest.approx(2.0)
    assert options.sharing == SharingOptions("union", 0.9)
    assert options.logit == LogitOptions(1.0, 1.0, "student", "all", "kl")
    assert (options.feature.weight, options.box) == (1.0, BoxOptions(1.0, "student"))
    assert cfg.MODEL.TADISTILL.DECAY.SCHEDULE == "linear"


def test_a_config_of_another_project_is_left_as_it_is(cfg):
    stock = get_cfg()
    assert cfg.MODEL.META_ARCHITECTURE == stock.MODEL.META_ARCHITECTURE
    del cfg.MODEL["TADISTILL"]
    del cfg.MODEL["TIMM"]
    del cfg.SOLVER["OPTIMIZER"]
    assert cfg == stock


def test_the_timm_node_of_another_project_stays():
    cfg = get_cfg()
    others = {"BASE_NAME": "resnet50", "NORM": "FrozenBN"}  # a key of ours among them
    cfg.MODEL.TIMM = CfgNode(others)
    add_tadistill_config(cfg)
    ours = {"NAME": "tf_efficientnet_lite0", "WEIGHTS": ""}
    assert dict(cfg.MODEL.TIMM) == {**others, **ours}


def test_the_optimizer_of_another_project_stays():
    cfg = get_cfg()
    cfg.SOLVER.OPTIMIZER = "LION"
    add_tadistill_config(cfg)
    assert cfg.SOLVER.OPTIMIZER == "LION"
    assert cfg.MODEL.TADISTILL.ENABLED


def test_keys_that_are_added_again_keep_their_values(cfg):
    """As where two projects of one program add them."""
    cfg.MODEL.TADISTILL.LOGIT.WEIGHT = 3.0
    cfg.MODEL.TADISTILL.TEACHER.CONFIG_FILE = "teacher.yaml"
    cfg.MODEL.TADISTILL.MINE = CfgNode({"KEY": 1})
    before = cfg.clone()
    add_tadistill_config(cfg)
    assert cfg == before


def test_a_plain_model_builds_from_a_config_with_the_keys():
    cfg = plain_cfg()
    add_tadistill_config(cfg)
    assert type(build(cfg)).__name__ == "GeneralizedRCNN"


def test_every_key_reaches_its_option(cfg):
    cfg.merge_from_list(
        [
            *("MODEL.TADISTILL.PROPOSALS.SOURCE", "teacher"),
            *("MODEL.TADISTILL.PROPOSALS.NMS_THRESH", 0.7),
            *("MODEL.TADISTILL.FEATURE.WEIGHT", 2.0, "MODEL.TADISTILL.FEATURE.SIGMA", 3.0),
            *("MODEL.TADISTILL.FEATURE.LEVELS", ["p3"]),
            *("MODEL.TADISTILL.FEATURE.GATE", "instance"),
            *("MODEL.TADISTILL.LOGIT.WEIGHT", 4.0, "MODEL.TADISTILL.LOGIT.TEMPERATURE", 5.0),
            *("MODEL.TADISTILL.LOGIT.GATE", "none", "MODEL.TADISTILL.LOGIT.REGION", "foreground"),
            *("MODEL.TADISTILL.LOGIT.LOSS", "bce"),
            *("MODEL.TADISTILL.BOX.WEIGHT", 6.0, "MODEL.TADISTILL.BOX.GATE", "proposal"),
        ]
    )
    assert DistillationOptions.from_cfg(cfg) == DistillationOptions(
        SharingOptions("teacher", 0.7),
        FeatureOptions(2.0, 3.0, ("p3",), "instance"),
        LogitOptions(4.0, 5.0, "none", "foreground", "bce"),
        BoxOptions(6.0, "proposal"),
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("PROPOSALS.SOURCE", "both"),
        ("PROPOSALS.NMS_THRESH", 1.5),
        ("PROPOSALS.NMS_THRESH", -0.1),
        ("FEATURE.WEIGHT", -1.0),
        ("FEATURE.WEIGHT", float("nan")),
        ("FEATURE.SIGMA", 0.0),
        ("FEATURE.GATE", "student"),
        ("LOGIT.WEIGHT", -0.5),
        ("LOGIT.TEMPERATURE", 0.0),
        ("LOGIT.GATE", "instance"),
        ("LOGIT.REGION", "background"),
        ("LOGIT.LOSS", "mse"),
        ("BOX.WEIGHT", -2.0),
        ("BOX.GATE", "teacher"),
    ],
)
def test_a_wrong_value_is_named_with_its_key_when_the_model_is_built(key, value):
    cfg = student_cfg(None, f"MODEL.TADISTILL.{key}", value)
    with pytest.raises(ConfigError) as error:
        build(cfg)
    assert f"MODEL.TADISTILL.{key} is {value!r}" in str(error.value)


@pytest.mark.parametrize(
    ("options", "teacher", "proposals", "head"),
    [
        (DistillationOptions(), True, True, True),
        (DistillationOptions(SharingOptions("student")), True, False, True),
        (
            DistillationOptions(
                SharingOptions("student"), logit=LogitOptions(0.0), box=BoxOptions(0.0)
            ),
            *(True, False, False),
        ),
        (
            DistillationOptions(
                SharingOptions("student"),
                FeatureOptions(gate="instance"),
                LogitOptions(0.0),
                BoxOptions(0.0),
            ),
            *(True, False, True),
        ),
        (
            DistillationOptions(
                SharingOptions("union"),
                FeatureOptions(0.0, gate="instance"),
                LogitOptions(0.0),
                BoxOptions(0.0),
            ),
            *(True, True, False),
        ),
        (
            DistillationOptions(
                SharingOptions("student"), FeatureOptions(0.0), LogitOptions(0.0), BoxOptions(0.0)
            ),
            *(False, False, False),
        ),
    ],
)
def test_options_know_what_they_need_of_the_teacher(options, teacher, proposals, head):
    assert options.needs_teacher is teacher
    assert options.needs_teacher_proposals is proposals
    assert options.needs_teacher_head is head
