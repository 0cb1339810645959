"""The page of the data sets, and the lists of their splits."""

import re
from pathlib import Path

import pytest
import voc_to_coco
from voc.lists import read_list
from voc.scenes import read_scenes, scene_of

TOOLS = Path(voc_to_coco.__file__).parent
SPLITS = TOOLS.parent / "splits"


def test_files_that_the_page_links_to_exist():
    page = TOOLS.parent / "DATA.md"
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert links
    assert not [link for link in links if not (page.parent / link).exists()]


def test_options_that_the_page_names_exist():
    named = set(re.findall(r"--[a-z]+(?:-[a-z]+)+", (TOOLS.parent / "DATA.md").read_text()))
    known = {option for action in voc_to_coco.parser()._actions for option in action.option_strings}
    assert named & known >= {"--ids-after", "--no-area", "--one-based"}
    # Of train_net.py, and of sha256sum.
    assert named - known == {"--config-file", "--register-coco", "--ignore-missing"}


COUNTS = {
    "bccd": {"train": 205, "val": 87, "test": 72, "dev_fit": 165, "dev_hold": 40, "classes": 3},
    "foda_mini": {"train": 2880, "val": 764, "dev_fit": 2001, "dev_hold": 634, "classes": 31},
    "digits": {"dev_fit": 1700, "dev_hold": 300},
}


@pytest.mark.parametrize("data", COUNTS)
def test_the_lists(data):
    lists = {path.stem: path for path in (SPLITS / data).glob("*.txt")}
    scenes = lists.pop("scenes", None)
    names = {stem: read_list(path) for stem, path in lists.items()}
    assert {stem: len(entries) for stem, entries in names.items()} == COUNTS[data]
    assert not set(names["dev_fit"]) & set(names["dev_hold"])
    if "train" in names:
        assert set(names["dev_fit"]) | set(names["dev_hold"]) <= set(names["train"])
        others = set(names["val"]) | set(names.get("test", []))
        assert len(others) == len(names["val"]) + len(names.get("test", []))
        assert not others & set(names["train"])
    assert (scenes is None) == (data != "foda_mini")


@pytest.mark.parametrize(
    ("fit", "held", "shared"), [("train", "val", 6), ("dev_fit", "dev_hold", 12)]
)
def test_scenes_are_held_out_whole_or_behind_a_gap(fit, held, shared):
    scenes = read_scenes(SPLITS / "foda_mini/scenes.txt")
    order = {name: place for place, name in enumerate(read_list(SPLITS / "foda_mini/train.txt"))}

    def by_scene(split):
        frames = {}
        for name in read_list(SPLITS / f"foda_mini/{split}.txt"):
            frames.setdefault(scene_of(name[:-4], scenes), []).append(name)
        return frames

    fit, held = by_scene(fit), by_scene(held)
    both = fit.keys() & held.keys()
    assert len(both) == shared
    for scene in both:
        last, first = max(fit[scene]), min(held[scene])
        assert last < first
        if first in order:  # of 90 frames, 9 are in neither list
            assert order[first] - order[last] == 10
