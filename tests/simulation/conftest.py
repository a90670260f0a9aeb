"""A template ledger for all histories of a test run, on memory-backed disk where there is one."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pfgov.sim.simulation import make_template


@pytest.fixture(scope="session")
def workspace() -> Iterator[Path]:
    """Give a folder that is as fast as this machine has."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def template(workspace: Path) -> Path:
    """Give a fresh ledger to copy."""
    folder = workspace / "template"
    make_template(folder)
    return folder
