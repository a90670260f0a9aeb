"""The layers are held, and a violation of any of them would be seen.

A linter that passes because it saw nothing is worse than none: so every contract is broken on purpose in a copy.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("pfgov", "ledger/pfgov_ledger", "api/pfgov_api")

PLANTS = {
    # contract: (module to spoil, what to write into it)
    "api -> pfgov -> ledger, never upwards": ("ledger/pfgov_ledger/tree.py", "import pfgov.clock"),
    "an auditor needs only the standard library and cryptography": ("ledger/pfgov_ledger/tree.py", "import pydantic"),
    "inside pfgov, down only; a new module has to be given its place": ("pfgov/clock.py", "import pfgov.core.decide"),
    "the use cases know no door": ("pfgov/app/ledger.py", "import rich"),
    "doors come in through the use cases": ("api/pfgov_api/quota.py", "def late():\n    import pfgov.engine"),
    "the door to Kubernetes knows the client and nothing behind it": (
        "pfgov/kubernetes/names.py", "import pfgov.core.ids",
    ),
    "core imports nothing above it": ("pfgov/core/ids.py", "import pfgov.storage"),
    "policy, scheduling and storage do not know each other": ("pfgov/policy/limits.py", "import pfgov.storage"),
    "only pfgov.policy knows cel-python": ("pfgov/core/decide/due.py", "def late():\n    import celpy"),
    "only what runs patterns over others' texts knows RE2": ("pfgov/core/decide/due.py", "def late():\n    import re2"),
    "only pfgov.storage.sqlite knows the database": ("pfgov/core/decide/due.py", "import sqlite_utils"),
    "only pfgov.storage.postgres speaks to PostgreSQL": ("pfgov/engine/reading/reader.py", "import psycopg"),
    "which store it is, is chosen in pfgov.storage; all others know the port": (
        "pfgov/engine/answers.py", "import pfgov.storage.sqlite.schema",
    ),
    "the port of the store knows no store": ("pfgov/storage/port.py", "import pfgov.storage.sqlite.schema"),
    "inside engine, down only; a new module has to be given its place": (
        "pfgov/engine/keys/signing.py", "import pfgov.engine.sequencing.leases",
    ),
    "only the border and the api know pydantic": ("pfgov/core/decide/due.py", "import pydantic"),
    "HTTP stays in the api": ("pfgov/core/decide/due.py", "import litestar"),
}  # fmt: skip


def contracts() -> list[str]:
    """The names of all contracts."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]]


def lint(root: Path) -> str:
    """What import-linter says about the tree at *root*."""
    path = os.pathsep.join(str(root / folder) for folder in (".", "ledger", "api"))
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as c; c()",
            "--no-cache",
            "--no-logo",
        ],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says about a copy of the tree in which every contract is broken."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for source in SOURCES:
        shutil.copytree(ROOT / source, copy / source, ignore=shutil.ignore_patterns("__pycache__"))
    for module, line in PLANTS.values():
        with (copy / module).open("a") as file:
            file.write(f"\n{line}\n")
    return lint(copy)


def test_every_contract_is_kept() -> None:
    """The tree as it stands breaks no contract."""
    report = lint(ROOT)
    assert f"Contracts: {len(contracts())} kept, 0 broken." in report, report


def test_every_contract_has_a_planted_violation() -> None:
    """A new contract needs a violation here that it would catch."""
    assert set(PLANTS) == set(contracts())


@pytest.mark.parametrize("name", sorted(PLANTS))
def test_planted_violations_are_caught(name: str, spoilt: str) -> None:
    """Each contract is reported as broken in the copy in which it is."""
    assert re.search(rf"^{re.escape(name)} BROKEN", spoilt, re.MULTILINE), spoilt


def test_a_module_without_a_place_is_caught(tmp_path: Path) -> None:
    """A new module of pfgov that no layer names breaks the layers contract."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for source in SOURCES:
        shutil.copytree(
            ROOT / source, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__")
        )
    (tmp_path / "pfgov" / "newcomer.py").write_text('"""New."""\n')
    assert "newcomer" in lint(tmp_path)
