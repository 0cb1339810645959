"""Which feature map of the teacher each of the student's is compared with."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from detectron2.layers import ShapeSpec

from .errors import ConfigError


class LevelPair(NamedTuple):
    """A level of the student and the teacher's level of the same stride.

    Attributes:
        student, teacher: their ``ShapeSpec``s (channels, stride).
        teacher_name: what the teacher's backbone calls its level.
    """

    student: ShapeSpec
    teacher: ShapeSpec
    teacher_name: str


def match_levels(
    student: Mapping[str, ShapeSpec], teacher: Mapping[str, ShapeSpec], names: Sequence[str] = ()
) -> dict[str, LevelPair]:
    """Pairs levels by stride: a name is a convention, the stride says where a cell lies.

    Args:
        student, teacher: ``backbone.output_shape()`` of both models.
        names: the student's levels to compare; empty for all.

    Returns:
        The pairs, by the student's name, in the student's order.

    Raises:
        ConfigError: naming ``MODEL.TADISTILL.FEATURE.LEVELS``, if a name is not among the student's
            levels, or a level's stride is not to be found (once) in the teacher.
    """
    key = "MODEL.TADISTILL.FEATURE.LEVELS"
    unknown = [name for name in names if name not in student]
    if unknown:
        raise ConfigError(
            f"{key} names {unknown}, which the student's backbone does not have. "
            f"It has {_describe(student)}"
        )

    pairs = {}
    for name, spec in student.items():
        if names and name not in names:
            continue
        matches = [n for n, other in teacher.items() if other.stride == spec.stride]
        if len(matches) != 1:
            raise ConfigError(
                f"the student's feature level {name} (stride {spec.stride}) has "
                f"{len(matches) or 'no'} counterpart{'s' if len(matches) > 1 else ''} in the "
                f"teacher. Student: {_describe(student)}; teacher: {_describe(teacher)}. "
                f"Choose the levels that both have with {key}, or set "
                "MODEL.TADISTILL.FEATURE.WEIGHT to 0.0"
            )
        pairs[name] = LevelPair(spec, teacher[matches[0]], matches[0])
    return pairs


def _describe(levels: Mapping[str, ShapeSpec]) -> str:
    return ", ".join(f"{n} (stride {s.stride}, {s.channels} channels)" for n, s in levels.items())
