"""The colours and letters of the whole page."""

MODELS = ("baseline", "distilled", "teacher")
MODEL_COLOURS = {"baseline": "#D98200", "distilled": "#0072B2", "teacher": "#4A4A4A"}
INK, SOFT_INK, GRID = "#1E1E1E", "#6B6B6B", "#E4E4E4"

STYLE = {
    "font.size": 15,
    "text.color": INK,
    "axes.labelcolor": SOFT_INK,
    "xtick.color": SOFT_INK,
    "ytick.color": SOFT_INK,
    "axes.edgecolor": "#B5B5B5",
}
