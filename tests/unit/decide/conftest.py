"""What tests of the rules share."""

from pathlib import Path

import pytest
from support.review_world import world_of
from support.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world in which large amounts, contractors and some kinds of work need reviews."""
    return world_of(tmp_path)
