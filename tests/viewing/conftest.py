from pathlib import Path

import pytest

from restem.viewing.index import build_index
from tests.viewing.planted import source


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted experiment, indexed; it is only read."""
    folder = tmp_path_factory.mktemp("planted")
    build_index([source(folder)], folder / "index.sqlite")
    return folder / "index.sqlite"
