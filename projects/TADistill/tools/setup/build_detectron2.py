"""Builds a pure-Python wheel of Detectron2 v0.6 from its source archive on PyPI.

    python build_detectron2.py --out DIR [--sdist FILE]

Detectron2 publishes no wheels, and its source archive no longer installs as it is. This script
fetches the archive with pip (so with the user's own index, proxy and certificates), checks it
against a pinned sha256, applies the changes listed in ``repairs.py``, and packs the result.
What needs the compiled extension (rotated boxes, some deformable convolutions, the fast COCO
evaluation) says so when it is used; all else works, on CPU and GPU.

The Python that runs this needs pip, a current setuptools and torch: pip asks the archive's own
``setup.py`` for its metadata while fetching, and that imports torch.
"""

import argparse
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib import metadata
from pathlib import Path

from repairs import NOT_COMPILED, NOT_COMPILED_FILE, REPAIRS, RepairError

# Holds the files of Detectron2's v0.6 tag, without the C++ sources.
SDIST_REQUIREMENT = "pb1-detectron2==0.6"
SDIST_SHA256 = "5d2e9e51e523ec72f6a31cca04b0a515492e9514b773a3d134cedc0677170b29"

# "+pure" tells this build apart in `pip list`; `detectron2.__version__` stays "0.6".
VERSION = "0.6+pure"

# Detectron2's setup.py installs these folders as subpackages of detectron2.projects.
PROJECTS = {
    "projects/PointRend/point_rend": "detectron2/projects/point_rend",
    "projects/DeepLab/deeplab": "detectron2/projects/deeplab",
    "projects/Panoptic-DeepLab/panoptic_deeplab": "detectron2/projects/panoptic_deeplab",
}

# The first that reads the licence as it is written below.
OLDEST_SETUPTOOLS = 77

# v0.6's own requirements, less what it needs no more: black pinned to a version of 2021, and what
# only caffe2 used. As upstream, torch, torchvision and OpenCV are left to the user to choose.
PYPROJECT = f"""\
[build-system]
requires = ["setuptools>={OLDEST_SETUPTOOLS}"]
build-backend = "setuptools.build_meta"

[project]
name = "detectron2"
version = "{VERSION}"
description = "Detectron2 v0.6, pure Python, repaired for current versions of its dependencies"
readme = "REPAIRS.md"
license = "Apache-2.0"
license-files = ["LICENSE"]
requires-python = ">=3.10"
dependencies = [
    "Pillow>=7.1",
    "cloudpickle",
    "fvcore>=0.1.5,<0.1.6",
    "hydra-core>=1.1",
    "iopath>=0.1.7,<0.1.10",
    "matplotlib",
    "numpy",
    "omegaconf>=2.1",
    "pycocotools>=2.0.2",
    "tabulate",
    "tensorboard",
    "termcolor>=1.1",
    "tqdm>4.29.0",
    "yacs>=0.1.8",
]

[project.urls]
Homepage = "https://github.com/facebookresearch/detectron2"

[tool.setuptools.packages.find]
include = ["detectron2*"]
namespaces = false

[tool.setuptools.package-data]
"detectron2.model_zoo" = ["configs/**/*.yaml", "configs/**/*.py"]
"""


class BuildError(Exception):
    """The wheel cannot be built; the message says what to do."""


def check_tools() -> None:
    """Raises BuildError unless this Python has what building needs."""
    for name in ("pip", "torch", "setuptools"):
        if not importlib.util.find_spec(name):
            raise BuildError(f"{sys.executable} has no {name}, which building Detectron2 needs.")
    version = metadata.version("setuptools")
    if int(version.split(".")[0]) < OLDEST_SETUPTOOLS:
        raise BuildError(
            f"{sys.executable} has setuptools {version}; building Detectron2 needs "
            f"{OLDEST_SETUPTOOLS} or newer: pip install 'setuptools>={OLDEST_SETUPTOOLS}'"
        )


def fetch_sdist(folder: Path) -> Path:
    """Downloads the source archive into ``folder`` with pip and the user's pip configuration.

    pip runs an archive's ``setup.py`` for its metadata, also when it only downloads. In
    hash-checking mode it compares the sha256 before that.

    Raises:
        BuildError: pip failed; the message ends with what pip said.
    """
    requirement = folder / "detectron2-sdist.txt"
    requirement.write_text(f"{SDIST_REQUIREMENT} --hash=sha256:{SDIST_SHA256}\n")
    pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet"]
    # --no-build-isolation: an isolated build would not see torch, and would install it anew.
    how = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--require-hashes"]
    _run(
        [*pip, *how, "--dest", str(folder), "--requirement", str(requirement)],
        f"pip could not fetch {SDIST_REQUIREMENT}. With the archive at hand, name it: --sdist FILE",
    )
    return next(folder.glob("*.tar.gz"))


def check_sha256(sdist: Path) -> None:
    """Raises BuildError unless ``sdist`` is the very archive the repairs were written for."""
    found = hashlib.sha256(sdist.read_bytes()).hexdigest()
    if found != SDIST_SHA256:
        raise BuildError(
            f"{sdist}: sha256 is {found}, expected {SDIST_SHA256}. This is not the archive of "
            f"{SDIST_REQUIREMENT} that was checked; do not install it."
        )


def prepare_sources(sdist: Path, folder: Path) -> Path:
    """Unpacks ``sdist`` into ``folder``, repairs it and gives it a ``pyproject.toml``.

    Returns:
        Path: the source tree, ready to be packed.

    Raises:
        RepairError: a repair does not fit the sources.
    """
    with tarfile.open(sdist) as archive:
        # Python 3.10 and 3.11 have `filter` only in their later patch releases.
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **safely)
    root = next(path for path in folder.iterdir() if path.is_dir())

    for repair in REPAIRS:
        repair.apply(root)
    for file in sorted({repair.file for repair in REPAIRS}):
        with open(root / file, "a", encoding="utf-8") as source:
            source.write("\n# Changed from Detectron2 v0.6; see REPAIRS in the metadata.\n")
    (root / NOT_COMPILED_FILE).write_text(NOT_COMPILED, encoding="utf-8")

    for project, package in PROJECTS.items():
        shutil.move(root / project, root / package)
    for upstream in ("setup.py", "setup.cfg"):
        (root / upstream).unlink()
    (root / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (root / "REPAIRS.md").write_text(list_repairs(), encoding="utf-8")
    return root


def list_repairs() -> str:
    """Returns the repairs as Markdown, which becomes the long description of the wheel."""
    lines = ["# REPAIRS: how this build differs from Detectron2 v0.6", ""]
    lines += [f"- `{repair.file}`: {repair.reason}" for repair in REPAIRS]
    lines += [f"- `{NOT_COMPILED_FILE}`: new, stands in for the compiled extension.", ""]
    return "\n".join(dict.fromkeys(lines))


def pack(root: Path, out: Path) -> Path:
    """Packs the source tree ``root`` into a wheel in the folder ``out`` and returns its path."""
    pip = [sys.executable, "-m", "pip", "wheel", "--disable-pip-version-check", "--quiet"]
    how = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(out)]
    _run([*pip, *how, str(root)], "pip could not pack the repaired sources.")
    return out / f"detectron2-{VERSION}-py3-none-any.whl"


def build(out: Path, sdist: Path | None = None) -> Path:
    """Builds the wheel.

    Args:
        out: folder for the wheel, made if missing.
        sdist: the source archive; fetched with pip if None.

    Returns:
        Path: the wheel.

    Raises:
        BuildError: a tool is missing, or the archive cannot be fetched, is not the pinned one, or
            cannot be packed.
        RepairError: a repair does not fit the sources.
    """
    check_tools()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build-detectron2-") as temporary:
        downloads, sources = Path(temporary, "download"), Path(temporary, "source")
        downloads.mkdir()
        sources.mkdir()
        sdist = sdist or fetch_sdist(downloads)
        check_sha256(sdist)
        return pack(prepare_sources(sdist, sources), out)


def _run(command: list[str], complaint: str) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip().splitlines()[-30:]
        raise BuildError("\n".join([complaint, "pip said:", *said]))


def main() -> None:
    """Builds the wheel and prints its path, or exits with a message."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build"), help="folder for the wheel")
    parser.add_argument("--sdist", type=Path, help=f"use this archive of {SDIST_REQUIREMENT}")
    args = parser.parse_args()
    try:
        print(build(args.out, args.sdist))
    except (BuildError, RepairError) as error:
        sys.exit(f"build_detectron2: {error}")


if __name__ == "__main__":
    main()
