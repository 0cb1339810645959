"""The command line: Detectron2's own, three arguments more, and none of them swallowed."""

import pytest

from tadistill.engine import argument_parser

COCO = ["--register-coco", "mine", "mine.json", "images"]


def test_all_of_detectron2s_arguments_are_there():
    args = argument_parser().parse_args(
        ["--config-file", "a.yaml", "--resume", "--eval-only", "--num-gpus", "2", *COCO]
    )
    assert (args.config_file, args.num_gpus) == ("a.yaml", 2)
    assert (args.resume, args.eval_only, args.eval_teacher) == (True, True, False)
    assert (args.num_machines, args.machine_rank) == (1, 0)
    assert args.register_coco == [COCO[1:]]
    assert args.opts == []


def test_the_config_keys_come_last():
    args = argument_parser().parse_args([*COCO, "MODEL.DEVICE", "cpu", "SEED", "3"])
    assert args.opts == ["MODEL.DEVICE", "cpu", "SEED", "3"]


@pytest.mark.parametrize("value", ["-1", "-0.5", "-1e-3", "-", "--", "-name", "--name"])
def test_a_value_may_begin_with_a_dash(value):
    args = argument_parser().parse_args(["--resume", "SEED", value, "MODEL.DEVICE", "cpu"])
    assert args.resume
    assert args.opts == ["SEED", value, "MODEL.DEVICE", "cpu"]


@pytest.mark.parametrize(
    "late", [COCO, ["--eval-only"], ["--resume"], ["--num-gpus", "2"], ["--config-file", "a.yaml"]]
)
def test_an_argument_behind_the_config_keys_is_named(late, capsys):
    with pytest.raises(SystemExit) as end:
        argument_parser().parse_args(["MODEL.DEVICE", "cpu", *late])
    assert end.value.code == 2
    assert f"error: {late[0]} comes after the config keys" in capsys.readouterr().err


def test_processes_wait_for_each_other_as_long_as_in_detectron2_or_as_said():
    assert argument_parser().parse_args([]).dist_timeout == 30 * 60
    assert argument_parser().parse_args(["--dist-timeout", "2.5"]).dist_timeout == 2.5


@pytest.mark.parametrize("value", ["0", "-3", "nan", "inf", "soon"])
def test_a_timeout_that_is_none(value, capsys):
    with pytest.raises(SystemExit):
        argument_parser().parse_args([f"--dist-timeout={value}"])
    assert "--dist-timeout" in capsys.readouterr().err


def test_an_unknown_argument_is_named(capsys):
    with pytest.raises(SystemExit) as end:
        argument_parser().parse_args(["--no-such-thing"])
    assert end.value.code == 2
    assert "--no-such-thing" in capsys.readouterr().err


def test_help_has_detectron2s_arguments_and_ours(capsys):
    with pytest.raises(SystemExit) as end:
        argument_parser().parse_args(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for argument in ("--config-file", "--num-gpus", "--eval-only", "--eval-teacher"):
        assert argument in text
    assert "--register-coco NAME JSON IMAGE_DIR" in text
