"""The demo's picture: what distillation did, as curves and as detections side by side.

Right and wrong differ by a mark as well as by their colour, and what was missed by its dashes.
"""
