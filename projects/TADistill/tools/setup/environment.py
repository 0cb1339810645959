"""Makes `.venv`, the environment that `make demo` and `make test` run in, or brings it up to date.

    python environment.py [--venv DIR] [--remove]

The Python that runs this stands for the *active* environment, in one of two roles:

- It has Detectron2. Then `.venv` becomes an overlay that sees all of its packages, and only what
  is missing is installed, into `.venv`. The active environment itself is never changed.
- It has none. Then `.venv` gets what `requirements.txt` pins, and the Detectron2 that
  `build_detectron2.py` builds.

A marker in `.venv` remembers from what it was made, so that a second run has nothing to do.
Only the standard library is used, since nothing else is there yet.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 13)

SETUP = Path(__file__).resolve().parent
ROOT = SETUP.parents[3]
REQUIREMENTS = ROOT / "requirements.txt"
EXTRAS = "test,demo,dev"

MARKER = "tadistill-environment.json"
LOG = "setup.log"
OVERLAY = "active-environment.pth"

# An overlay must never get a second copy of these: they must fit one another to the byte.
SHARED_PACKAGES = ("detectron2", "torch", "torchvision", "numpy")


class SetupError(Exception):
    """The environment cannot be made; the message says what to do."""


def check_python() -> None:
    """Raises SetupError unless this Python is one that the project supports and can make venvs."""
    version = sys.version_info[:2]
    if not OLDEST_PYTHON <= version <= NEWEST_PYTHON:
        names = [f"python3.{minor}" for minor in range(NEWEST_PYTHON[1], OLDEST_PYTHON[1] - 1, -1)]
        here = next((name for name in names if shutil.which(name)), "python3.12")
        raise SetupError(
            f"{sys.executable} is Python {version[0]}.{version[1]}; Python 3.{OLDEST_PYTHON[1]} to "
            f"3.{NEWEST_PYTHON[1]} is needed. Name another one: make PYTHON={here}"
        )
    missing = [name for name in ("venv", "ensurepip") if not importlib.util.find_spec(name)]
    if missing:
        raise SetupError(
            f"{sys.executable} lacks the standard module {missing[0]}, so it cannot make a virtual "
            f"environment. On Debian or Ubuntu: apt install python{version[0]}.{version[1]}-venv"
        )


def active_detectron2() -> str | None:
    """Returns where the active environment keeps Detectron2, or None if it has none."""
    spec = importlib.util.find_spec("detectron2")
    return str(Path(spec.origin).parent) if spec and spec.origin else None


def fingerprint(detectron2: str | None) -> str:
    """Returns a hash over all that the environment is made from."""
    source = ["overlay", sys.prefix, detectron2] if detectron2 else ["pinned"]
    facts = [str(ROOT), *map(str, sys.version_info[:2]), *source]
    files = [REQUIREMENTS, ROOT / "pyproject.toml", *sorted(SETUP.glob("*.py"))]
    digest = hashlib.sha256("\0".join(facts).encode())
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def read_marker(venv: Path) -> dict:
    """Returns what the marker of ``venv`` says; an empty dict if there is no such folder.

    Raises:
        SetupError: the folder is there, but was not made by this script.
    """
    if not venv.exists():
        return {}
    try:
        return json.loads((venv / MARKER).read_text())
    except (OSError, ValueError):
        raise SetupError(
            f"{venv} was not made by this script (it holds no {MARKER}), so it is left alone. "
            "Move it away, or name another place: make VENV=.venv-tadistill"
        ) from None


def python_of(venv: Path) -> Path:
    """Returns the Python of a virtual environment."""
    return venv / "bin" / "python"


def set_up(venv: Path) -> None:
    """Makes ``venv`` or brings it up to date; quick if it is already.

    Raises:
        SetupError: this Python does not do, ``venv`` is someone else's, or an installation failed.
    """
    check_python()
    marker = read_marker(venv)
    detectron2 = active_detectron2()
    wanted = fingerprint(detectron2)
    works = python_of(venv).exists()  # a link, to a Python that may have been upgraded away
    if works and marker.get("fingerprint") == wanted:
        return

    mode = f"overlay of {sys.prefix}" if detectron2 else "pinned"
    kind = {"mode": mode, "version": list(sys.version_info[:2]), "root": str(ROOT)}
    maker = {"python": sys.executable}
    if not works or any(marker.get(key) != value for key, value in kind.items()):
        say(f"Making {venv} with {sys.executable}")
        if venv.exists():
            shutil.rmtree(venv)
        venv.mkdir(parents=True)
        write_marker(venv, maker)
        run([sys.executable, "-m", "venv", str(venv)], venv / LOG)
    else:
        say(f"Updating {venv}")
    # Without a fingerprint: an installation that breaks off is taken up again.
    write_marker(venv, maker | kind)

    if detectron2:
        say(f"Using the Detectron2 of the active environment: {detectron2}")
        install_over_active(venv)
    else:
        install_pinned(venv)
    say("Checking Detectron2")
    check_detectron2(venv, detectron2)
    write_marker(venv, maker | kind | {"fingerprint": wanted})
    say(f"{venv} is ready")


def install_pinned(venv: Path) -> None:
    """Installs the pinned requirements, a Detectron2 built here, and this project."""
    say("Installing what requirements.txt pins (the first time about 5 GB)")
    pip_install(venv, "--requirement", str(REQUIREMENTS))
    replace_opencv_without_libraries(venv)

    say("Building Detectron2")
    wheels = venv / "detectron2-wheel"
    builder = [str(python_of(venv)), str(SETUP / "build_detectron2.py"), "--out", str(wheels)]
    run(builder, venv / LOG)
    wheel = next(wheels.glob("detectron2-*.whl"))
    pip_install(venv, "--no-deps", "--force-reinstall", str(wheel))

    say("Installing TADistill")
    pip_install(venv, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))


def install_over_active(venv: Path) -> None:
    """Lets ``venv`` see the packages of the active environment and installs what is missing."""
    active = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    # addsitedir, and not the bare path, so that the .pth files in there (editable installs) count.
    lines = [f"import site; site.addsitedir({path!r})\n" for path in active]
    (site_packages(venv) / OVERLAY).write_text("".join(lines))

    constraints = venv / "active-versions.txt"
    constraints.write_text("".join(f"{line}\n" for line in active_versions()))

    say("Installing TADistill and what the active environment lacks")
    opencv_is_missing = not importlib.util.find_spec("cv2")
    extras = f"{EXTRAS},opencv" if opencv_is_missing else EXTRAS
    pip_install(venv, "--constraint", str(constraints), "--editable", f"{ROOT}[{extras}]")
    if opencv_is_missing:
        replace_opencv_without_libraries(venv)


def active_versions() -> list[str]:
    """Returns `name==version` for each shared package that the active environment has."""
    versions = []
    for name in SHARED_PACKAGES:
        try:
            versions.append(f"{name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue  # Detectron2 on the PYTHONPATH, for example
    return versions


def replace_opencv_without_libraries(venv: Path) -> None:
    """Takes opencv-python-headless where opencv-python misses a system library.

    Both are the same library in the same version. The headless one cannot open windows, which
    nothing here does, and needs neither libGL nor X11, which a bare machine may not have.
    """
    python = str(python_of(venv))
    if subprocess.run([python, "-c", "import cv2"], capture_output=True).returncode == 0:
        return
    ask = "from importlib import metadata; print(metadata.version('opencv-python'))"
    version = subprocess.run([python, "-c", ask], capture_output=True, text=True).stdout.strip()
    say("opencv-python misses a system library (libGL, X11); taking opencv-python-headless")
    run([python, "-m", "pip", "uninstall", "--yes", "--quiet", "opencv-python"], venv / LOG)
    # Forced: the uninstallation also took the files that the two have in common.
    pip_install(venv, "--no-deps", "--force-reinstall", f"opencv-python-headless=={version}")


def check_detectron2(venv: Path, active: str | None) -> None:
    """Runs ``check_detectron2.py`` in ``venv``.

    Raises:
        SetupError: Detectron2 does not work; the message says whose it is.
    """
    try:
        lines = run([str(python_of(venv)), str(SETUP / "check_detectron2.py")], venv / LOG)
    except SetupError as error:
        if not active:
            raise
        raise SetupError(
            f"The active environment's Detectron2 ({active}) does not work in {sys.prefix}. Repair "
            f"it there, or deactivate that environment: then one is built here.\n{error}"
        ) from None
    say(lines[-1])


def site_packages(venv: Path) -> Path:
    """Returns the folder in which ``venv`` keeps its own packages."""
    return venv / "lib" / "python{}.{}".format(*sys.version_info[:2]) / "site-packages"


def pip_install(venv: Path, *arguments: str) -> None:
    """Runs `pip install` in ``venv`` and shows the large downloads, which take the time.

    Without compiling 12,000 modules, of which most are never imported: Python compiles those that
    are when they are first.
    """
    command = [str(python_of(venv)), "-m", "pip", "install"]
    options = ["--disable-pip-version-check", "--no-compile"]
    run([*command, *options, *arguments], venv / LOG, show=large_download)


def large_download(line: str) -> str | None:
    """Returns what to show of a line of pip's output: a download of 10 MB or more, or None."""
    found = re.search(r"(Downloading|Using cached) (\S+) \(([\d.]+) (MB|GB)\)", line)
    if found and (found[4] == "GB" or float(found[3]) >= 10):
        return f"    {found[2].rsplit('/', 1)[-1].split('-')[0]} ({found[3]} {found[4]})"
    return "    unpacking" if line.startswith("Installing collected packages") else None


def run(command: list[str], log: Path, show=lambda line: None) -> list[str]:
    """Runs ``command``, adds what it prints to ``log``, and shows some of it.

    Args:
        command: program and arguments.
        log: file that is appended to.
        show: turns a line of output into the text to show, or None.

    Returns:
        list[str]: the lines that it printed.

    Raises:
        SetupError: the command failed; the message has its last lines.
    """
    lines = []
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(command)}\n")
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        for line in process.stdout:
            file.write(line)
            lines.append(line.rstrip("\n"))
            if text := show(line):
                print(text, flush=True)
    if process.wait():
        last = "\n".join(lines[-25:])
        raise SetupError(f"This failed: {' '.join(command)}\n{last}\nAll of it is in {log}")
    return lines


def write_marker(venv: Path, facts: dict) -> None:
    """Writes the marker of ``venv``."""
    (venv / MARKER).write_text(json.dumps(facts, indent=2) + "\n")


def remove(venv: Path) -> None:
    """Removes ``venv`` if this script made it, and leaves it alone otherwise."""
    if read_marker(venv):
        shutil.rmtree(venv)
        say(f"Removed {venv}")


def leave(venv: Path) -> None:
    """If ``venv`` itself is the active environment, starts over with the Python that made it."""
    if not venv.exists() or Path(sys.prefix).resolve() != venv.resolve():
        return
    maker = read_marker(venv)["python"]
    if not Path(maker).exists():
        raise SetupError(f"{venv} was made by {maker}, which is gone. Deactivate and remove it.")
    os.execv(maker, [maker, __file__, *sys.argv[1:]])


def say(text: str) -> None:
    """Prints a line about what is being done."""
    print(f"[setup] {text}", flush=True)


def main() -> None:
    """Makes, updates or removes the environment, or exits with a message."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where (%(default)s)")
    parser.add_argument("--remove", action="store_true", help="remove it instead")
    args = parser.parse_args()
    venv = args.venv.absolute()
    try:
        leave(venv)
        if args.remove:
            remove(venv)
        else:
            set_up(venv)
    except SetupError as error:
        sys.exit(f"[setup] {error}")


if __name__ == "__main__":
    main()
