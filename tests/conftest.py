"""Fixtures that more than one test file uses."""

import logging
import os

import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from hypothesis import HealthCheck, settings
from tiny import CocoFiles, TeacherFiles, plain_cfg, save_teacher, teacher_cfg, write_coco

# A machine may be busy. tools/drills/fuzz.py has a profile of many more examples.
settings.register_profile(
    "tests",
    settings(),
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Tiny models are faster so, and sums are in one order."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


@pytest.fixture(scope="session")
def teacher_files(tmp_path_factory) -> TeacherFiles:
    """A teacher with channels, pixel statistics and BatchNorm statistics of its own."""
    return save_teacher(teacher_cfg(), tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="session")
def twin_files(tmp_path_factory) -> TeacherFiles:
    """A teacher of the student's own architecture, BatchNorm in the FPN included."""
    cfg = plain_cfg("MODEL.FPN.NORM", "BN")
    return save_teacher(cfg, tmp_path_factory.mktemp("twin"), "twin")


@pytest.fixture(scope="session")
def coco_files(tmp_path_factory) -> CocoFiles:
    """A handful of images in COCO format, in a path with a space."""
    return write_coco(tmp_path_factory.mktemp("data") / "a folder")


@pytest.fixture
def registered_datasets():
    """Forgets the datasets that a test registers, and what it says of others."""
    catalogs = (DatasetCatalog, MetadataCatalog)
    before = [set(catalog.list()) for catalog in catalogs]
    yield
    for catalog, names in zip(catalogs, before, strict=True):
        for name in set(catalog.list()) - names:
            catalog.remove(name)


@pytest.fixture
def tadistill_log(caplog):
    """``caplog``, whatever an earlier test's logging setup has done to the package's logger."""
    logger = logging.getLogger("tadistill")
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = True
    caplog.set_level(logging.INFO, logger="tadistill")
    yield caplog
    logger.propagate = propagate
    logger.setLevel(level)
