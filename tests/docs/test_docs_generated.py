"""Generated pages and schemas say what the code says."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.process
def test_generated_files_are_current() -> None:
    """``make docs`` would change nothing; and every error code has a meaning written down."""
    done = subprocess.run(
        [sys.executable, "docs/generate", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"run `make docs` and commit:\n{done.stdout}{done.stderr[-2000:]}"


def test_every_limit_is_documented_by_name() -> None:
    """Every limit is a whole number with a docstring that says what it bounds."""
    lines = (ROOT / "pfgov" / "limits.py").read_text().splitlines()
    bounds = [index for index, line in enumerate(lines) if ": Final = " in line]
    silent = [
        lines[index]
        for index in bounds
        if not lines[index + 1].startswith('"""') and ": Final = " not in lines[index + 1]
    ]
    assert not silent
