"""Files and overrides merged into a config, or an error that says whose they are."""

import pytest
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
    @pytest.mark.parametrize("allow_unsafe", [False, True])
    def test_is_merged_with_its_base(self, cfg, tmp_path, allow_unsafe):
        (tmp_path / "base.yaml").write_text("SEED: 5\nSOLVER: {MAX_ITER: 7}\n")
        path = write(tmp_path, '_BASE_: "base.yaml"\nSOLVER: {MAX_ITER: 9}\n')
        merge_file(cfg, path, "MY.KEY", allow_unsafe)
        assert (cfg.SEED, cfg.SOLVER.MAX_ITER) == (5, 9)

    def test_that_is_not_there_is_named(self, cfg, tmp_path):
        for path in (tmp_path / "no.yaml", tmp_path):
            text = refusal(merge_file, cfg, str(path), "MY.KEY", allow_unsafe=True)
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
        text = refusal(merge_file, cfg, path, "MY.KEY", allow_unsafe=True)
        assert text.startswith(f"MY.KEY: {path} is not a config of Detectron2: ")
        assert word in text

    def test_may_not_run_python_unless_allowed(self, cfg, tmp_path):
        made = tmp_path / "made by the file"
        path = write(tmp_path, f"SEED: !!python/object/apply:os.mkdir ['{made}']\n")
        text = refusal(merge_file, cfg, path, "MY.KEY", allow_unsafe=False)
        assert text.startswith(f"MY.KEY: {path} is not a config of Detectron2: ")
        assert "python/object/apply:os.mkdir" in text
        assert not made.exists()

    def test_may_hold_python_objects_if_allowed(self, cfg, tmp_path):
        path = write(tmp_path, "DATASETS: {TRAIN: !!python/tuple [mine]}\n")
        merge_file(cfg, path, "MY.KEY", allow_unsafe=True)
        assert cfg.DATASETS.TRAIN == ("mine",)


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
            ([3, "MODEL.DEVICE"], "3"),
        ],
    )
    def test_that_do_not_fit_are_named(self, cfg, opts, word):
        text = refusal(merge_opts, cfg, opts, "MY.KEY")
        assert text.startswith(f"MY.KEY is {opts!r}: ")
        assert word in text
        assert "a list of keys and values" in text
