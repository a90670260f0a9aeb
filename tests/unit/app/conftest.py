"""What tests of the use cases share."""

from pathlib import Path

import pytest
from support.shelf import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Two ledgers."""
    return Shelf(tmp_path, "alpha", "beta")
