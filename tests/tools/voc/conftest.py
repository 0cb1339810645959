"""A folder for XMLs and images."""

import pytest
from voc_files import Folder


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "a folder")
