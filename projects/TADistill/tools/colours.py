"""The colours of all pictures: Okabe and Ito's, which most colour-blind readers can tell apart."""

INK, GREY, GRID = "#1E1E1E", "#6B6B6B", "#E4E4E4"
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BROWN = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#8C6D1F",
)
BASELINE_COLOUR, DISTILLED_COLOUR, PATIENT_COLOUR, TEACHER_COLOUR = INK, BLUE, VERMILION, GREY
OTHERS = (GREEN, PURPLE, ORANGE, SKY, BROWN)
