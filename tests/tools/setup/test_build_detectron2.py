import io
import tarfile

import pytest


def write_sdist(folder, leave_out=()):
    """Writes an archive that has just the texts that the repairs look for."""
    from build_detectron2 import PROJECTS
    from repairs import REPAIRS

    texts = {"setup.py": "", "setup.cfg": "", "LICENSE": ""}
    texts.update({f"{project}/__init__.py": "" for project in PROJECTS})
    texts["detectron2/projects/__init__.py"] = ""
    for repair in REPAIRS:
        texts.setdefault(repair.file, "")
        if repair not in leave_out:
            texts[repair.file] += repair.old * repair.count
    path = folder / "sdist.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in texts.items():
            member = tarfile.TarInfo(f"pb1-detectron2-0.6/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def test_a_repair_replaces_every_occurrence(tmp_path):
    from repairs import Repair

    (tmp_path / "a.py").write_text("np.int) np.int) np.int64)")
    Repair("a.py", "np.int)", "int)", "NumPy", count=2).apply(tmp_path)
    assert (tmp_path / "a.py").read_text() == "int) int) np.int64)"


@pytest.mark.parametrize("text", ["np.int)", "np.int) np.int) np.int)", ""])
def test_a_repair_that_does_not_fit_names_file_counts_and_reason(tmp_path, text):
    from repairs import Repair, RepairError

    (tmp_path / "a.py").write_text(text)
    with pytest.raises(RepairError, match=r"a\.py: expected 'np\.int\)' 2 time.*Alias is gone"):
        Repair("a.py", "np.int)", "int)", "Alias is gone", count=2).apply(tmp_path)
    assert (tmp_path / "a.py").read_text() == text


def test_a_repair_of_a_missing_file_names_it(tmp_path):
    from repairs import Repair, RepairError

    with pytest.raises(RepairError, match=r"layers/gone\.py is not in the sources"):
        Repair("layers/gone.py", "a", "b", "why").apply(tmp_path)


def test_every_repair_has_a_reason_and_changes_something():
    from repairs import REPAIRS

    assert all(len(repair.reason) > 20 and repair.old != repair.new for repair in REPAIRS)
    assert len({(repair.file, repair.old) for repair in REPAIRS}) == len(REPAIRS)


def test_prepared_sources_are_repaired_marked_and_listed(tmp_path):
    from build_detectron2 import prepare_sources
    from repairs import REPAIRS

    sources = tmp_path / "sources"
    sources.mkdir()
    root = prepare_sources(write_sdist(tmp_path), sources)
    for repair in REPAIRS:
        file = repair.file
        if file.startswith("projects/"):
            file = f"detectron2/projects/{file.split('/', 2)[2]}"
        text = (root / file).read_text()
        assert repair.new in text
        assert "Changed from Detectron2 v0.6" in text
        assert repair.reason in (root / "REPAIRS.md").read_text()
    assert (root / "detectron2/projects/point_rend/__init__.py").exists()
    assert not (root / "setup.py").exists()


def test_sources_that_a_repair_does_not_fit_stop_the_build(tmp_path):
    from build_detectron2 import prepare_sources
    from repairs import REPAIRS, RepairError

    sources = tmp_path / "sources"
    sources.mkdir()
    with pytest.raises(RepairError, match="found it 0 time"):
        prepare_sources(write_sdist(tmp_path, leave_out=REPAIRS[:1]), sources)


def test_an_old_setuptools_is_refused_with_the_command_that_helps(monkeypatch):
    import build_detectron2

    monkeypatch.setattr(build_detectron2.metadata, "version", lambda name: "65.5.0")
    with pytest.raises(build_detectron2.BuildError, match=r"65\.5\.0; .*'setuptools>=77'"):
        build_detectron2.check_tools()


def test_an_archive_with_another_hash_is_refused_before_it_is_unpacked(monkeypatch, tmp_path):
    import build_detectron2
    from build_detectron2 import SDIST_SHA256, BuildError, build

    monkeypatch.setattr(build_detectron2, "check_tools", lambda: None)
    sdist = write_sdist(tmp_path)
    with pytest.raises(BuildError, match=rf"sdist\.tar\.gz: sha256 is .*{SDIST_SHA256}"):
        build(tmp_path / "out", sdist)
    assert not list((tmp_path / "out").iterdir())


def test_without_the_extension_its_operations_say_so_when_used():
    from repairs import NOT_COMPILED

    module = {}
    exec(NOT_COMPILED, module)
    with pytest.raises(ImportError, match=r"'nms_rotated' is an operation of .* compiled"):
        module["_C"].nms_rotated(None, None, 0.5)
    assert not hasattr(module["_C"], "__wrapped__")
