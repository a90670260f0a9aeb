"""The Go program that judges our log and our proofs with others' packages; skipped where it cannot be built."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Go = Callable[..., list[str]]


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> Go:
    """``go(requests, *arguments)`` gives the program's lines, one a request."""
    tool = shutil.which("go")
    if tool is None:
        pytest.skip("no Go toolchain on this machine")
    source = Path(__file__).parent / "go"
    fetched = subprocess.run(
        [tool, "mod", "download"], cwd=source, capture_output=True, text=True, check=False
    )
    if fetched.returncode != 0:
        pytest.skip(f"its Go modules cannot be had here: {fetched.stderr.strip()[:200]}")
    program = tmp_path_factory.mktemp("go") / "check"
    subprocess.run([tool, "build", "-o", str(program), "."], cwd=source, check=True)

    def run(requests: list[dict[str, Any]], *arguments: str) -> list[str]:
        text = "".join(json.dumps(item) for item in requests)
        done = subprocess.run(
            [program, *arguments], input=text, capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()

    return run
