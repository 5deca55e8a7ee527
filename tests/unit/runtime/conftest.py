import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bundle"))  # bundle_for_tests

from bundle_for_tests import write_bundle


@pytest.fixture(scope="session")
def pristine_bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def bundle_folder(pristine_bundle, tmp_path):
    """A bundle to spoil."""
    return shutil.copytree(pristine_bundle, tmp_path / "models" / "tiny")
