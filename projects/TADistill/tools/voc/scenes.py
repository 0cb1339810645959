"""Scenes of a video, whose frames are named in order."""

from collections.abc import Mapping
from pathlib import Path

from .errors import ConversionError
from .lists import read_list


def read_scenes(path: Path) -> dict[tuple[str, str], int]:
    """Scenes of a video whose frames are named in order: lines of ``SCENE FIRST LAST``.

    Returns:
        From the names of first and last frame, without ending, to the scene's number.
    """
    scenes = {}
    for line in read_list(path):
        try:
            scene, first, last = line.split()
            scenes[first, last] = int(scene)
        except ValueError:
            raise ConversionError(f"{path}: {line!r} is not SCENE FIRST LAST") from None
    return scenes


def scene_of(stem: str, scenes: Mapping[tuple[str, str], int]) -> int:
    """The scene between whose first and last frame ``stem`` stands.

    Raises:
        ConversionError: if it is in none, or in several.
    """
    found = [scene for (first, last), scene in scenes.items() if first <= stem <= last]
    if len(found) != 1:
        raise ConversionError(f"{stem} is in {len(found)} scenes, not in one")
    return found[0]
