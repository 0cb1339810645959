import pytest
from detectron2.layers import ShapeSpec
from hypothesis import given
from hypothesis import strategies as st

from tadistill.errors import ConfigError
from tadistill.levels import match_levels


def levels(channels=256, **strides):
    return {name: ShapeSpec(channels=channels, stride=s) for name, s in strides.items()}


STRIDES = {"p2": 4, "p3": 8, "p4": 16, "p5": 32, "p6": 64}
FPN = levels(**STRIDES)


def test_all_levels_in_the_students_order():
    pairs = match_levels(FPN, dict(reversed(levels(128, **STRIDES).items())))
    assert list(pairs) == ["p2", "p3", "p4", "p5", "p6"]
    for name, pair in pairs.items():
        assert pair.teacher_name == name
        assert pair.student == ShapeSpec(channels=256, stride=STRIDES[name])
        assert pair.teacher == ShapeSpec(channels=128, stride=STRIDES[name])


def test_the_stride_decides_not_the_name():
    # One network counts its levels from another.
    pairs = match_levels(levels(p2=4, p3=8), levels(64, p3=4, p2=8, res5=32))
    assert {name: pair.teacher_name for name, pair in pairs.items()} == {"p2": "p3", "p3": "p2"}
    assert all(pair.student.stride == pair.teacher.stride for pair in pairs.values())
    assert all(pair.teacher.channels == 64 for pair in pairs.values())


def test_levels_that_only_the_teacher_has_are_left_alone():
    assert list(match_levels(levels(p3=8, p4=16), FPN)) == ["p3", "p4"]


names = st.sampled_from([f"p{i}" for i in range(1, 9)])
backbones = st.dictionaries(names, st.sampled_from([4, 8, 16, 32, 64]), max_size=6)


@given(backbones, backbones, st.lists(names, max_size=4))
def test_any_two_backbones_are_paired_by_stride_or_refused(student, teacher, chosen):
    wanted = {name: s for name, s in student.items() if not chosen or name in chosen}
    counterparts = {
        name: [other for other, t in teacher.items() if t == s] for name, s in wanted.items()
    }
    given_levels = levels(64, **student), levels(32, **teacher), chosen
    unknown = any(name not in student for name in chosen)
    if unknown or any(len(found) != 1 for found in counterparts.values()):
        with pytest.raises(ConfigError, match=r"MODEL\.TADISTILL\.FEATURE\.LEVELS"):
            match_levels(*given_levels)
        return
    pairs = match_levels(*given_levels)
    assert list(pairs) == list(wanted)
    for name, (other,) in counterparts.items():
        assert pairs[name].teacher_name == other
        assert pairs[name].student == ShapeSpec(channels=64, stride=student[name])
        assert pairs[name].teacher == ShapeSpec(channels=32, stride=student[name])


@pytest.mark.parametrize("names", [("p5", "p3"), ["p3", "p5"]])
def test_a_choice_of_levels(names):
    assert list(match_levels(FPN, FPN, names)) == ["p3", "p5"]


def test_a_level_that_is_not_chosen_needs_no_counterpart():
    teacher = levels(p3=8, p4=16)
    assert list(match_levels(FPN, teacher, ["p3", "p4"])) == ["p3", "p4"]


def test_an_unknown_level_is_named():
    with pytest.raises(ConfigError, match=r"MODEL\.TADISTILL\.FEATURE\.LEVELS names \['p7'\]") as e:
        match_levels(levels(p2=4, p3=8), FPN, ["p3", "p7"])
    # What there is to choose from: the student's, not the teacher's.
    assert "p2 (stride 4, 256 channels), p3 (stride 8, 256 channels)" in str(e.value)
    assert "p6" not in str(e.value)


def test_a_level_without_a_counterpart_is_named():
    with pytest.raises(ConfigError) as error:
        match_levels(FPN, levels(512, p3=8, p4=16, p5=32))
    message = str(error.value)
    assert "feature level p2 (stride 4) has no counterpart in the teacher" in message
    assert "p6 (stride 64, 256 channels)" in message
    assert "p5 (stride 32, 512 channels)" in message
    assert "MODEL.TADISTILL.FEATURE.LEVELS" in message
    assert "MODEL.TADISTILL.FEATURE.WEIGHT to 0" in message


def test_two_counterparts_are_not_guessed_between():
    with pytest.raises(ConfigError, match=r"level p2 \(stride 4\) has 2 counterparts"):
        match_levels(levels(p2=4), levels(p2=4, p2_again=4))
