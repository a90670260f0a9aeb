"""Every benchmark still runs: each once, at the smallest size at which it says something.  No figure is looked at."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import postgres

pytestmark = [pytest.mark.process, pytest.mark.long]

FOLDER = Path(__file__).parents[1] / "bench"

SMALLEST = {
    "api": "--rounds 1 --seconds 0.2",
    "console": "--rounds 1",
    "console_size": "5 20 5",
    "core": "--rounds 1 --single 5 --many 256",
    "editing": "--rounds 1",
    "impact": "--entries 300",
    "ledger": "--entries 300 --rounds 1",
    "ledgers": "--ledgers 10 --busy 2 --visits 2 --seconds 1",
    "personal_data": "",
    "placement": "--rounds 1 --members 20",
    "policy": "--rounds 1",
    "scale": "--rounds 1 --single 5 --many 256 --takeovers 0 --far 1",
    "scheduling": "1",
    "store_size": "--small 100 --large 200 --rounds 1 --turn 5",
    "translate_large": "1000 100",
    "trial": "--rounds 1 --packets 20",
    "verify_large": "1000 100",
    "witnesses": "--rounds 1 --count 3",
}

PARTS = {"peak", "policy_cases", "policy_cpp", "presidio_peer"}
"""What benchmarks are made of, and two that run with a Python that has a peer."""


@pytest.mark.parametrize("name", sorted(SMALLEST))
def test_a_benchmark_runs(name: str, tmp_path: Path) -> None:
    """The code that a benchmark measures has changed under it, and it ends with a traceback."""
    if name == "scale" and postgres.programs() is None:
        pytest.skip("PostgreSQL's programs are not here")
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), *SMALLEST[name].split()],
        capture_output=True, text=True, timeout=300, check=False, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert any(sign.isdigit() for sign in done.stdout), done.stdout


def test_no_benchmark_is_left_out() -> None:
    """A benchmark that nobody runs is as good as none."""
    assert {path.stem for path in FOLDER.glob("*.py")} == SMALLEST.keys() | PARTS
