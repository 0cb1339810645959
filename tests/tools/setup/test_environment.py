import json
import sys
from pathlib import Path

import pytest


@pytest.fixture
def environment():
    import environment

    return environment


@pytest.mark.parametrize("version", [(3, 9), (3, 14)])
def test_an_unsupported_python_is_named_with_a_way_out(environment, monkeypatch, version):
    monkeypatch.setattr(environment.sys, "version_info", (*version, 0, "final", 0))
    with pytest.raises(environment.SetupError, match=r"is Python 3\.\d+; .*make PYTHON=python3"):
        environment.check_python()


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv_is_told_what_to_install(environment, monkeypatch, module):
    find_spec = environment.importlib.util.find_spec
    monkeypatch.setattr(
        environment.importlib.util,
        "find_spec",
        lambda name: None if name == module else find_spec(name),
    )
    with pytest.raises(environment.SetupError, match=rf"{module}.*apt install python3\.\d+-venv"):
        environment.check_python()


def test_a_folder_of_someone_else_is_neither_used_nor_removed(environment, tmp_path):
    (tmp_path / "precious").write_text("mine")
    for action in (environment.set_up, environment.remove):
        with pytest.raises(environment.SetupError, match="was not made by this script"):
            action(tmp_path)
    assert (tmp_path / "precious").read_text() == "mine"


def test_remove_takes_away_what_was_made_and_accepts_that_there_is_nothing(environment, tmp_path):
    venv = tmp_path / "venv"
    venv.mkdir()
    environment.write_marker(venv, {"python": sys.executable})
    environment.remove(venv)
    assert not venv.exists()
    environment.remove(venv)


def test_an_up_to_date_environment_runs_nothing(environment, monkeypatch, tmp_path):
    fingerprint = environment.fingerprint(environment.active_detectron2())
    environment.write_marker(tmp_path, {"fingerprint": fingerprint})
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to(sys.executable)
    monkeypatch.setattr(environment, "run", lambda *_: pytest.fail("ran something"))
    environment.set_up(tmp_path)


def test_an_environment_whose_python_is_gone_is_made_anew(environment, monkeypatch, tmp_path):
    """Its python is a link, to one that an upgrade of the system may have taken away."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").symlink_to(tmp_path / "gone")
    fingerprint = environment.fingerprint(environment.active_detectron2())
    environment.write_marker(venv, {"fingerprint": fingerprint})
    commands = []
    monkeypatch.setattr(environment, "run", lambda command, *rest: commands.append(command))
    for step in ("install_pinned", "install_over_active", "check_detectron2"):
        monkeypatch.setattr(environment, step, lambda *arguments: None)
    environment.set_up(venv)
    assert commands == [[sys.executable, "-m", "venv", str(venv)]]


def test_the_fingerprint_follows_the_files_and_the_active_detectron2(
    environment, monkeypatch, tmp_path
):
    pinned = environment.fingerprint(None)
    assert environment.fingerprint("/site-packages/detectron2") != pinned
    changed = tmp_path / "requirements.txt"
    changed.write_text(environment.REQUIREMENTS.read_text() + "\n")
    monkeypatch.setattr(environment, "REQUIREMENTS", changed)
    assert environment.fingerprint(None) != pinned


def test_an_environment_that_failed_half_way_is_recognised_and_tried_again(
    environment, monkeypatch, tmp_path
):
    def fail(*_, **__):
        raise environment.SetupError("no network")

    venv = tmp_path / "a venv"
    monkeypatch.setattr(environment, "run", fail)
    for _ in range(2):
        with pytest.raises(environment.SetupError, match="no network"):
            environment.set_up(venv)
    assert "fingerprint" not in json.loads((venv / environment.MARKER).read_text())


def test_an_overlay_sees_the_active_packages_and_pins_the_shared_ones(
    environment, monkeypatch, tmp_path
):
    installed = []
    site = environment.site_packages(tmp_path)
    site.mkdir(parents=True)
    monkeypatch.setattr(environment, "pip_install", lambda venv, *args: installed.append(args))
    environment.install_over_active(tmp_path)

    active = next(path for path in sys.path if Path(path).name == "site-packages")
    assert repr(active) in (site / environment.OVERLAY).read_text()
    constraints = (tmp_path / "active-versions.txt").read_text().split()
    assert f"numpy=={environment.metadata.version('numpy')}" in constraints
    (arguments,) = installed
    assert str(tmp_path / "active-versions.txt") in arguments
    assert "opencv" not in arguments[-1]  # the active environment has it


def test_packages_are_not_compiled_beforehand(environment, monkeypatch, tmp_path):
    commands = []
    monkeypatch.setattr(environment, "run", lambda command, *_, **__: commands.append(command))
    environment.pip_install(tmp_path, "numpy")
    ((*words, last),) = commands
    assert "--no-compile" in words
    assert last == "numpy"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("  Downloading torch-2.12.0-cp311-cp311-linux.whl (532.2 MB)", "    torch (532.2 MB)"),
        ("  Downloading https://x/y/torch-2.12.0.whl (1.2 GB)", "    torch (1.2 GB)"),
        ("  Downloading rich-15.0.0-py3-none-any.whl (243 kB)", None),
        ("  Downloading pip-26.0-py3-none-any.whl (1.8 MB)", None),
        ("Installing collected packages: torch, numpy", "    unpacking"),
        ("Collecting torch==2.12.0", None),
    ],
)
def test_only_what_takes_time_is_shown(environment, line, shown):
    assert environment.large_download(line) == shown


def test_a_command_that_fails_shows_its_last_lines_and_names_the_log(environment, tmp_path):
    log = tmp_path / "setup.log"
    command = [sys.executable, "-c", "print('the reason'); raise SystemExit(3)"]
    with pytest.raises(environment.SetupError, match=r"(?s)the reason.*setup\.log"):
        environment.run(command, log)
    assert "the reason" in log.read_text()
