"""The demo's picture: what distillation did, as curves and as detections side by side.

Colours are Okabe and Ito's, which most colour-blind readers can tell apart; right and wrong differ
by a mark as well, and what was missed by its dashes.
"""
