"""Files and overrides merged into a config, or an error that says whose they are."""

from pathlib import Path

import pytest
from detectron2 import model_zoo
from detectron2.config import get_cfg

from tadistill.errors import ConfigError
from tadistill.merging import merge_file, merge_opts


@pytest.fixture
def cfg():
    return get_cfg()


def refusal(function, *arguments, **options):
    with pytest.raises(ConfigError) as error:
        function(*arguments, **options)
    return str(error.value)


def write(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return str(path)


class TestAFile:
    def test_is_merged_with_its_base(self, cfg, tmp_path):
        (tmp_path / "base.yaml").write_text("SEED: 5\nSOLVER: {MAX_ITER: 7}\n")
        path = write(tmp_path, '_BASE_: "base.yaml"\nSOLVER: {MAX_ITER: 9}\n')
        merge_file(cfg, path, "MY.KEY")
        assert (cfg.SEED, cfg.SOLVER.MAX_ITER) == (5, 9)

    def test_that_is_not_there_is_named(self, cfg, tmp_path):
        for path in (tmp_path / "no.yaml", tmp_path):
            text = refusal(merge_file, cfg, str(path), "MY.KEY")
            assert text.startswith(f"MY.KEY: there is no file {path}")

    @pytest.mark.parametrize(
        ("content", "word"),
        [
            ("MODEL: [", ""),
            ("", ""),
            ("only words", ""),
            ("[1, 2]", ""),
            ("MODEL: {NO_SUCH_KEY: 1}", "MODEL.NO_SUCH_KEY"),
            ("SOLVER: {MAX_ITER: many}", "SOLVER.MAX_ITER"),
            ('_BASE_: "nowhere.yaml"', "nowhere.yaml"),
        ],
    )
    def test_that_is_no_config_is_named_with_what_is_wrong(self, cfg, tmp_path, content, word):
        path = write(tmp_path, content)
        text = refusal(merge_file, cfg, path, "MY.KEY")
        assert text.startswith(f"MY.KEY: {path} is not a config of Detectron2: ")
        assert word in text

    def test_is_merged_with_several_bases_each_seen_from_its_own_folder(self, cfg, tmp_path):
        (tmp_path / "folder").mkdir()
        (tmp_path / "seed.yaml").write_text("SEED: 5\n")
        (tmp_path / "folder/seed.yaml").write_text('_BASE_: "../seed.yaml"\n')
        (tmp_path / "iterations.yaml").write_text("SOLVER: {MAX_ITER: 7}\n")
        absolute = tmp_path / "iterations.yaml"
        merge_file(cfg, write(tmp_path, f"_BASE_: [folder/seed.yaml, {absolute}]\n"), "MY.KEY")
        assert (cfg.SEED, cfg.SOLVER.MAX_ITER) == (5, 7)

    @pytest.mark.parametrize("base", ["mine.yaml", "other.yaml"])
    def test_that_is_its_own_base_is_named(self, cfg, tmp_path, base):
        (tmp_path / "other.yaml").write_text("_BASE_: folder/../mine.yaml\n")
        (tmp_path / "folder").mkdir()
        text = refusal(merge_file, cfg, write(tmp_path, f"_BASE_: {base}\n"), "MY.KEY")
        assert text.startswith("MY.KEY: ")
        assert "mine.yaml is its own _BASE_, by way of" in text

    def test_whose_base_is_no_name_is_named(self, cfg, tmp_path):
        for base in ("3", "{a: 1}", "[3]", ""):
            path = write(tmp_path, f"_BASE_: {base}\n")
            text = refusal(merge_file, cfg, path, "MY.KEY")
            assert text.startswith(f"MY.KEY: {path} is not a config of Detectron2: ")

    def test_that_is_a_program_is_not_run(self, cfg, tmp_path):
        path, made = tmp_path / "lazy.py", tmp_path / "made by the file"
        path.write_text(f"import os; os.mkdir({str(made)!r})\n")
        text = refusal(merge_file, cfg, str(path), "MY.KEY")
        assert text.startswith(f"MY.KEY: {path} is a LazyConfig, which is a program")
        assert not made.exists()

    @pytest.mark.parametrize(
        "address", ["https://nowhere.invalid/a.yaml", "detectron2://a.yaml", "catalog://a"]
    )
    def test_is_not_fetched(self, cfg, tmp_path, address):
        text = refusal(merge_file, cfg, address, "MY.KEY")
        assert text.startswith(f"MY.KEY: {address} is an address")
        (tmp_path / "base.yaml").write_text(f'_BASE_: ["{address}"]\n')
        text = refusal(merge_file, cfg, write(tmp_path, "_BASE_: base.yaml\n"), "MY.KEY")
        assert text.startswith(f"MY.KEY: {tmp_path}/base.yaml has the _BASE_ {address}; download")

    def test_may_have_no_tuple_by_a_tag(self, cfg, tmp_path):
        path = write(tmp_path, "DATASETS: {TRAIN: !!python/tuple [mine]}\n")
        text = refusal(merge_file, cfg, path, "MY.KEY")
        assert text.startswith(f"MY.KEY: {path} is not a config")
        assert "'!!python/tuple'" in text
        assert "for a tuple, a list" in text

    def test_with_a_whole_number_for_another_says_how_to_write_it(self, cfg, tmp_path):
        path = write(tmp_path, "SOLVER: {BASE_LR: 1}\n")
        assert "SOLVER.BASE_LR (a whole number has its point here" in refusal(
            merge_file, cfg, path, "MY.KEY"
        )

    def test_with_one_value_for_several_says_how_to_write_it(self, cfg, tmp_path):
        path = write(tmp_path, "DATASETS: {TRAIN: mine}\n")
        text = refusal(merge_file, cfg, path, "MY.KEY")
        assert """DATASETS.TRAIN (several are wanted: one of them is written "('one',)")""" in text

    def test_of_the_zoo_is_read_but_for_the_retinanets(self):
        """Detectron2's zoo has one YAML with a tag, and what is based on it."""
        folder = Path(model_zoo.get_config_file("Base-RCNN-FPN.yaml")).parent
        refused = set()
        for path in folder.rglob("*.yaml"):
            try:
                merge_file(get_cfg(), str(path), "MY.KEY")
            except ConfigError:
                refused.add(path.stem)
        assert refused == {
            "Base-RetinaNet",
            *(path.stem for path in folder.rglob("retinanet_*.yaml")),
        }


class TestOverrides:
    def test_are_merged(self, cfg):
        merge_opts(cfg, ("SEED", "5", "SOLVER.BASE_LR", 0.5), "MY.KEY")
        assert (cfg.SEED, cfg.SOLVER.BASE_LR) == (5, 0.5)
        merge_opts(cfg, [], "MY.KEY")

    @pytest.mark.parametrize(
        ("opts", "word"),
        [
            (["MODEL.NO_SUCH_KEY", 1], "MODEL.NO_SUCH_KEY"),
            (["NO_SUCH.KEY", 1], "NO_SUCH.KEY"),
            (["SOLVER.MAX_ITER", "many"], "SOLVER.MAX_ITER"),
            (["SOLVER.MAX_ITER"], "SOLVER.MAX_ITER"),
            (["SOLVER.BASE_LR", "1"], "as in 0.0"),
            ([3, "MODEL.DEVICE"], "3"),
        ],
    )
    def test_that_do_not_fit_are_named(self, cfg, opts, word):
        text = refusal(merge_opts, cfg, opts, "MY.KEY")
        assert text.startswith(f"MY.KEY is {opts!r}: ")
        assert word in text
        assert "a list of keys and values" in text
