import dataclasses
import math
import re
from dataclasses import FrozenInstanceError

import pytest
from detectron2.config import get_cfg

from tadistill import add_tadistill_config
from tadistill.errors import ConfigError
from tadistill.options import (
    BalanceOptions,
    BoxOptions,
    DistillationOptions,
    FeatureOptions,
    LogitOptions,
    SharingOptions,
)


def options(**values):
    """From a config, as users set them: ``options(FEATURE__WEIGHT=0.5)``."""
    cfg = get_cfg()
    add_tadistill_config(cfg)
    pairs = ((f"MODEL.TADISTILL.{k.replace('__', '.')}", v) for k, v in values.items())
    cfg.merge_from_list([x for pair in pairs for x in pair])
    return DistillationOptions.from_cfg(cfg)


def test_defaults_of_the_config_and_of_the_options_agree():
    assert options() == DistillationOptions()


def test_defaults_are_those_of_the_method():
    default = DistillationOptions()
    assert default.sharing.source == "union"
    assert default.feature.sigma**2 == pytest.approx(2)
    assert default.logit == LogitOptions(1.0, 1.0, gate="student", region="all", loss="kl")
    assert default.box == BoxOptions(1.0, gate="student")


def test_every_key_is_read():
    assert options(
        PROPOSALS__SOURCE="teacher",
        PROPOSALS__NMS_THRESH=0.7,
        FEATURE__WEIGHT=2.0,
        FEATURE__SIGMA=0.5,
        FEATURE__LEVELS=["p3", "p4"],
        FEATURE__GATE="instance",
        FEATURE__MASK="box",
        LOGIT__WEIGHT=3.0,
        LOGIT__TEMPERATURE=4.0,
        LOGIT__GATE="none",
        LOGIT__REGION="foreground",
        LOGIT__LOSS="bce",
        BOX__WEIGHT=5.0,
        BOX__GATE="proposal",
        BALANCE__ENABLED=True,
        BALANCE__FEATURE=0.1,
        BALANCE__LOGIT=0.2,
        BALANCE__BOX=0.3,
        BALANCE__PERIOD=5,
        BALANCE__MOMENTUM=0.0,
        BALANCE__LIMIT=[0.5, 2.0],
        INHERIT=True,
    ) == DistillationOptions(
        SharingOptions("teacher", 0.7),
        FeatureOptions(2.0, 0.5, ("p3", "p4"), "instance", "box"),
        LogitOptions(3.0, 4.0, "none", "foreground", "bce"),
        BoxOptions(5.0, "proposal"),
        BalanceOptions(True, 0.1, 0.2, 0.3, 5, 0.0, (0.5, 2.0)),
        inherit=True,
    )


@pytest.mark.parametrize(
    ("key", "value", "advice"),
    [
        ("PROPOSALS.SOURCE", "both", "choose one of 'union', 'student', 'teacher'"),
        ("PROPOSALS.NMS_THRESH", -0.1, "an IoU in [0, 1]"),
        ("PROPOSALS.NMS_THRESH", 90.0, "an IoU in [0, 1]"),
        ("FEATURE.WEIGHT", -1.0, "zero or more"),
        ("FEATURE.WEIGHT", math.nan, "zero or more"),
        ("FEATURE.WEIGHT", math.inf, "zero or more"),
        ("FEATURE.SIGMA", 0.0, "above zero"),
        ("FEATURE.SIGMA", math.inf, "above zero"),
        ("FEATURE.SIGMA", -2.0, "above zero"),
        ("FEATURE.GATE", "student", "choose one of 'none', 'instance'"),
        ("FEATURE.MASK", "boxes", "choose one of 'gaussian', 'box', 'anchor', 'whole'"),
        ("LOGIT.WEIGHT", -1.0, "zero or more"),
        ("LOGIT.WEIGHT", math.inf, "zero or more"),
        ("LOGIT.TEMPERATURE", 0.0, "above zero"),
        ("LOGIT.TEMPERATURE", math.inf, "above zero"),
        ("LOGIT.GATE", "proposal", "choose one of 'student', 'none'"),
        ("LOGIT.REGION", "background", "choose one of 'all', 'foreground'"),
        ("LOGIT.LOSS", "KL", "choose one of 'kl', 'bce'"),
        ("BOX.WEIGHT", -1.0, "zero or more"),
        ("BOX.WEIGHT", math.inf, "zero or more"),
        ("BALANCE.FEATURE", 0.0, "above zero"),
        ("BALANCE.LOGIT", -1.0, "above zero"),
        ("BALANCE.BOX", math.nan, "above zero"),
        ("BALANCE.PERIOD", 0, "1 or more"),
        ("BALANCE.MOMENTUM", 1.0, "in [0, 1)"),
        ("BALANCE.LIMIT", [0.0, 1.0], "the smallest and the largest scale, above zero"),
        ("BALANCE.LIMIT", [2.0, 1.0], "the smallest and the largest scale, above zero"),
        ("BALANCE.LIMIT", [1.0], "the smallest and the largest scale, above zero"),
        ("BOX.GATE", "teacher", "choose one of 'student', 'proposal', 'none'"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(key, value, advice):
    found = re.escape(f"MODEL.TADISTILL.{key} is {value!r}; ")
    with pytest.raises(ConfigError, match=found + ".*" + re.escape(advice)):
        options(**{key.replace(".", "__"): value})


def test_a_gate_on_boxes_of_a_mask_without_boxes_is_refused():
    with pytest.raises(ConfigError, match=r"FEATURE\.GATE is 'instance'.*FEATURE\.MASK is 'whole'"):
        options(FEATURE__GATE="instance", FEATURE__MASK="whole")


@pytest.mark.parametrize(
    ("key", "value"), [("PROPOSALS.NMS_THRESH", 0.0), ("PROPOSALS.NMS_THRESH", 1.0)]
)
def test_the_ends_of_a_range_belong_to_it(key, value):
    assert options(**{key.replace(".", "__"): value}).sharing.nms_thresh == value


@pytest.mark.parametrize("source", ["union", "student", "teacher"])
@pytest.mark.parametrize("weights", [(w & 1, w >> 1 & 1, w >> 2 & 1) for w in range(8)])
@pytest.mark.parametrize("gate", ["none", "instance"])
def test_what_is_needed_of_the_teacher(source, weights, gate):
    feature, logit, box = weights
    chosen = DistillationOptions(
        SharingOptions(source),
        FeatureOptions(feature, gate=gate),
        LogitOptions(logit),
        BoxOptions(box),
    )
    # Whose answers are read: an instance gate that gates nothing asks nobody.
    reads_head = bool(logit or box or (feature and gate == "instance"))
    reads_proposals = source in ("union", "teacher")
    assert chosen.needs_teacher_head == reads_head
    assert chosen.needs_teacher_proposals == reads_proposals
    assert chosen.needs_teacher == bool(feature or reads_head or reads_proposals)
    inheriting = dataclasses.replace(chosen, inherit=True)
    assert inheriting.needs_teacher
    assert (
        inheriting.needs_teacher_in_steps == chosen.needs_teacher_in_steps == chosen.needs_teacher
    )


def test_shared_proposals_alone_need_a_teacher():
    """A row of the ablation: what sharing buys with all terms off."""
    off = {"FEATURE__WEIGHT": 0.0, "LOGIT__WEIGHT": 0.0, "BOX__WEIGHT": 0.0}
    assert options(**off).needs_teacher
    assert not options(**off, PROPOSALS__SOURCE="student").needs_teacher


def test_options_do_not_change():
    with pytest.raises(FrozenInstanceError):
        DistillationOptions().feature.weight = 2.0
