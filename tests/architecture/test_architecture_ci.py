"""The gate of continuous integration fails when it should, above all when nothing ran."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

GATE = Path(__file__).parents[2] / ".ci" / "run"
LONG = "echo '7 passed, 1 skipped in 9.1s'"


def gate(tmp_path: Path, long: str = LONG) -> subprocess.CompletedProcess[str]:
    """Run the gate over the Makefile in *tmp_path*, whichever make runs these tests; its long tests pass by default."""
    with (tmp_path / "Makefile").open("a") as makefile:
        makefile.write(f"test-long:\n\t@{long}\n")
    (tmp_path / ".ci").mkdir()
    shutil.copy(GATE, tmp_path / ".ci")
    ours = {"ARGS", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    command = [tmp_path / ".ci" / "run"]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


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
    (tmp_path / "Makefile").write_text(f"check:\n\t@{check}\ntest:\n\t@{test}\n")
    done = gate(tmp_path)
    assert done.returncode == status, done.stdout + done.stderr


FIRST = "echo 'FAILED tests/test_x.py::test_y - slow'; echo '1 failed, 3 passed, 2 skipped in 1.2s'; false"


@pytest.mark.process
@pytest.mark.parametrize(
    ("again", "status", "last"),
    [
        ("echo '1 passed in 1s'", 0, "11 passed (1 of them only when run alone), 3 skipped"),
        ("echo '1 failed in 1s'; false", 1, "1 failed, 10 passed, 3 skipped"),
        ("echo '1 skipped in 1s'", 1, "1 failed, 10 passed, 3 skipped"),
        ("echo 'no tests ran in 0.01s'; false", 1, "1 failed, 10 passed, 3 skipped"),
        ("echo '3 passed in 9s'", 1, "1 failed, 10 passed, 3 skipped"),
    ],
)
def test_the_second_look(again: str, status: int, last: str, tmp_path: Path) -> None:
    """What failed beside others passes the gate only where it passes alone, and is named then."""
    (tmp_path / "Makefile").write_text(
        f"check:\n\t@true\nifdef ARGS\ntest:\n\t@{again}\nelse\ntest:\n\t@{FIRST}\nendif\n"
    )
    done = gate(tmp_path)
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == last
    assert ("passed alone: tests/test_x.py::test_y" in done.stdout) == (status == 0)


@pytest.mark.process
@pytest.mark.parametrize(
    ("summary", "last"),
    [
        ("6 failed, 3 passed in 1s", "6 failed, 10 passed, 1 skipped"),
        ("1 failed, 3 passed, 1 error in 1s", "1 failed, 10 passed, 1 skipped, 1 error"),
    ],
)
def test_many_failures_get_no_second_look(summary: str, last: str, tmp_path: Path) -> None:
    """More than a few failures, or an error, are no matter of what ran beside them."""
    (tmp_path / "Makefile").write_text(
        "check:\n\t@true\nifdef ARGS\ntest:\n\t@echo '9 passed in 1s'\n"
        f"else\ntest:\n\t@echo '{summary}'; false\nendif\n"
    )
    done = gate(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == last


@pytest.mark.process
@pytest.mark.parametrize(
    ("long", "status"),
    [
        (LONG, 0),
        ("echo '1 failed, 7 passed in 9.1s'; false", 1),
        ("echo 'no tests ran in 0.01s'", 1),
        ("echo '9 deselected in 0.01s'", 1),
        ("true", 1),
    ],
)
def test_the_long_tests_are_part_of_the_gate(long: str, status: int, tmp_path: Path) -> None:
    """What `make test` leaves to the long run is not left out."""
    (tmp_path / "Makefile").write_text("check:\n\t@true\ntest:\n\t@echo '3 passed in 1s'\n")
    done = gate(tmp_path, long)
    assert done.returncode == status, done.stdout + done.stderr
