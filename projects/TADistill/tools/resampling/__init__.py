"""Detectors compared on images like those of a validation set, by drawing them anew."""
