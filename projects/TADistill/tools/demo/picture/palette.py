"""The colours and letters of the whole page."""

from colours import BASELINE_COLOUR, DISTILLED_COLOUR, GREY, INK, TEACHER_COLOUR

MODELS = ("baseline", "distilled", "teacher")
MODEL_COLOURS = dict(zip(MODELS, (BASELINE_COLOUR, DISTILLED_COLOUR, TEACHER_COLOUR), strict=True))

STYLE = {
    "font.size": 15,
    "text.color": INK,
    "axes.labelcolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "axes.edgecolor": "#B5B5B5",
}
