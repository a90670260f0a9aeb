"""The command line in tests: in this process for speed, in a process of its own where that is the point.

A process of its own is forked from one that has imported the program (:mod:`support.prefork`), unless a command runs it
or the interpreter's own start is what a test is about.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pfgov.cli import run
from support import prefork

ROOT = Path(__file__).parents[2]
SEED = ROOT / "tests" / "data" / "seed"
PACKET = SEED / "packet.json"

CAPABLE = (
    "--type",
    "agent",
    "--capability",
    "customer_validation",
    "--capability",
    "policy_review",
)
GOOD = (*CAPABLE, "--region", "us-east/1a", "--trust", "0.97")
SECOND_SECONDS_MAX = 60


@dataclass(frozen=True)
class Said:
    """What a run of the command line came to."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on standard output; nothing else may be there."""
        assert self.err == ""
        found: dict[str, Any] = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def error(self) -> dict[str, Any]:
        """The error in the JSON object."""
        found: dict[str, Any] = self.json["error"]
        return found


class CommandLine:
    """``pfgov`` over one folder, in this process."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Said:
        """Run a command line."""
        self._capsys.readouterr()
        status = run(["--dir", str(self.directory), *map(str, arguments)])
        out, err = self._capsys.readouterr()
        return Said(status, out, err)

    def ok(self, *arguments: object) -> dict[str, Any]:
        """Run a command line with ``--json`` that has to succeed."""
        said = self(*arguments, "--json")
        assert said.status == 0, said
        return said.json

    def refused(self, *arguments: object) -> dict[str, Any]:
        """Run a command line with ``--json`` that has to fail with an error; return the error with its ``status``."""
        said = self(*arguments, "--json")
        assert said.status != 0, said
        return {**said.error, "status": said.status}

    def owned(self) -> None:
        """Create a ledger with one good member, a1, that owns the specification's packet, reviewed."""
        self.ok("init", "--origin", "pfgov.test/cli")
        self.ok("member", "register", "--id", "a1", *GOOD)
        self.ok("packet", "submit", "--file", PACKET)
        self.ok("packet", "review", "fp-001", "--grant", "--version", "3")


def environment(**more: str) -> dict[str, str]:
    """Return an environment for a process of its own: the checkout's packages, nothing of the caller's pfgov."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PFGOV_")}
    paths = os.pathsep.join(str(ROOT / name) for name in (".", "ledger", "api"))
    return {**env, "PYTHONPATH": paths, "NO_COLOR": "1", "COLUMNS": "80", **more}


def spawn(
    *arguments: object,
    stdin: bytes = b"",
    cwd: Path | None = None,
    before: Sequence[str] = (),
    **more: str,
) -> Said:
    """Run ``pfgov`` in a process of its own; *before* is a command that runs it, such as ``nice``."""
    program = (
        [*before, sys.executable, "-m", "pfgov.cli"] if before else [f"{prefork.program()}/pfgov"]
    )
    done = subprocess.run(
        [*program, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env=environment(**more),
        timeout=SECOND_SECONDS_MAX,
        check=False,
    )
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


def says(result: dict[str, Any], key: str = "recorded") -> list[str]:
    """Return the types of the entries that a command names."""
    return [entry["type"] for entry in result[key]]
