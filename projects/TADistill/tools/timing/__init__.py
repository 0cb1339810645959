"""What ``benchmark.py`` is made of: the sides that are measured, and how they are measured fairly.

The sides, by the letters that the whole package uses:

    a   a training step of the stock student: GeneralizedRCNN forward, backward, optimizer
    b   the teacher's inference alone, as far as a distilled step needs it
    c   a distilled training step

A distilled step cannot do without a and b, so that ``c / (a + b)`` says what it adds.
"""
