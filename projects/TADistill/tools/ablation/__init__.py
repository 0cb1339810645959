"""Ablations: a grid of rows, trained with some seeds each, and what came of it."""
