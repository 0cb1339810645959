"""The colours of an image."""

from typing import NamedTuple

import numpy as np


class Palette(NamedTuple):
    """Colours that go together, as hexadecimal sRGB."""

    papers: tuple  # the two ends of the background's gradient
    inks: tuple  # of digits and scribbles: far from the papers in lightness
    accents: tuple  # of the clutter: between the two


PALETTES = (
    Palette(("f4efe4", "e6dcc8"), ("1f3a5f", "7a2e2e", "2b2b2b"), ("d9b98a", "b9c4c9", "e0a899")),
    Palette(("eef2f3", "d5e0e6"), ("14345a", "0b5d6b", "44355b"), ("9fc3d4", "c9b8d9", "f2c9a1")),
    Palette(("e3ead9", "c8d6bb"), ("23402b", "6b3e26", "2f3e55"), ("9dbb8c", "d8c48f", "86a9a5")),
    Palette(("f6dfcf", "efc7b0"), ("6a1f2b", "2d2f4a", "4a2c17"), ("e79d7f", "c9a7a0", "f5ead6")),
    Palette(("d8b98e", "c4a173"), ("2f1d12", "16324a", "5b1a1a"), ("b2875a", "e3cfa8", "9c9a78")),
    Palette(("f3e3a8", "ecd07f"), ("27364d", "5a2a3c", "1f4b43"), ("e0b04d", "f7f0d2", "bcc39a")),
    Palette(("2f4a43", "243a36"), ("f1efe2", "f6d98f", "f0b7a4"), ("4f7268", "5d6f5a", "3b625f")),
    Palette(("22304f", "17213a"), ("eaf1fb", "ffd27d", "8fe0e0"), ("3f5788", "51456f", "2b6079")),
    Palette(("3b3340", "2a2530"), ("f5e9dc", "f4a582", "b8d4f0"), ("65536b", "7a5555", "4c5a70")),
    Palette(("2d5f86", "234c70"), ("f3f7f4", "ffe39a", "ffc7b0"), ("4a82ab", "3f7f8c", "5d73a8")),
    Palette(("7b3f35", "5f2d29"), ("fbeedd", "ffd694", "f2bfb0"), ("a0604c", "8a5a3c", "74494e")),
    Palette(("dcd6e6", "c3bad6"), ("33245a", "5a1f4a", "1d3d52"), ("a898c9", "e4b7c6", "a9c2d8")),
)


def rgb(colour):
    """The hexadecimal ``colour`` as (3,) float32 RGB in [0, 1]."""
    return np.array([int(colour[i : i + 2], 16) for i in (0, 2, 4)], np.float32) / 255
