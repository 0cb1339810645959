"""A teacher from a model and the file of its weights: checked, loaded whole, frozen."""

from detectron2.modeling import GeneralizedRCNN

from ..distillable import why_not_distillable
from ..errors import ConfigError
from ..options import TeacherOptions
from ..weights import load_all_weights
from .device import check_compilable
from .frozen import FrozenTeacher


def trained_teacher(
    model: GeneralizedRCNN,
    weights: str,
    student_format: str = "BGR",
    options: TeacherOptions | None = None,
    *,
    key: str = "model.teacher.weights",
    advice: str = "Use the weights that this model was trained to.",
) -> FrozenTeacher:
    """The teacher of a LazyConfig, which names it so (``L`` is Detectron2's ``LazyCall``)::

        student.teacher = L(trained_teacher)(
            model=teacher, weights="teacher.pth", student_format=student.input_format
        )

    Args:
        model: the teacher. It goes where the student goes.
        weights: path or URL, as :func:`tadistill.weights.load_all_weights` reads them.
        student_format, options: see :class:`FrozenTeacher`.
        key: what named ``weights``, for the error messages.
        advice: what to do about a file that does not fit, likewise.

    Raises:
        ConfigError: if the model is of a kind that cannot teach, or is not loaded whole.
    """
    node = key.rpartition(".")[0]
    if not weights:
        raise ConfigError(f"{key} is empty: give the path or URL of the teacher's trained weights")
    if not isinstance(model, GeneralizedRCNN):
        raise ConfigError(
            f"{node} is a {type(model).__name__}; the teacher must be a GeneralizedRCNN (Faster "
            "R-CNN), whose box head answers for the student's proposals"
        )
    problem = why_not_distillable(model.roi_heads)
    if problem:
        raise ConfigError(f"the teacher cannot teach: {problem} ({node})")
    if options and options.compile:
        check_compilable(model.backbone)
    load_all_weights(model, str(weights), key, advice)
    return FrozenTeacher(model, student_format, options)
