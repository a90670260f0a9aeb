"""What every test of a command has: a command line."""

from pathlib import Path

import pytest
from support.commandline import CommandLine


@pytest.fixture
def pfgov(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line over a folder that does not exist yet."""
    return CommandLine(tmp_path / "ledger", capsys)
