"""The gate of continuous integration fails when it should, above all when nothing ran."""

import shutil
import subprocess
from pathlib import Path

import pytest

GATE = Path(__file__).parents[2] / ".ci" / "run"


@pytest.mark.process
@pytest.mark.parametrize(
    ("check", "test", "status"),
    [
        ("true", "echo '3 passed in 1.2s'", 0),
        ("true", "echo '10 passed, 2 skipped in 1s'", 0),
        ("true", "echo '1 failed, 3 passed in 1.2s'; false", 1),
        ("false", "echo '3 passed in 1.2s'", 1),
        ("true", "echo 'no tests ran in 0.01s'", 1),
        ("true", "echo '5 deselected in 0.01s'", 1),
        ("true", "echo '0 passed'", 1),
        ("true", "true", 1),
    ],
)
def test_the_gate(check: str, test: str, status: int, tmp_path: Path) -> None:
    """The gate passes only if the checks pass and at least one test did, and none failed."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(GATE, tmp_path / ".ci")
    (tmp_path / "Makefile").write_text(f"check:\n\t@{check}\ntest:\n\t@{test}\n")
    done = subprocess.run([tmp_path / ".ci" / "run"], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
