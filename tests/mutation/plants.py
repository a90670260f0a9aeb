"""``make plants``: put faults that were seen once back into a copy of the code, and see that their tests turn red.

``plants.toml`` says for each what is replaced by what in which file, and which tests have to fail.  A test that
stays green, or is red without the fault too, is listed, and the exit status is 1.  Each costs two runs of its tests.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
LIST: Final = Path(__file__).with_name("plants.toml")
PARTS: Final = ("pfgov", "api", "ledger", "policies", "docs", "tests")
FILES: Final = (
    "pyproject.toml",
    "Makefile",
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "constraints.txt",
)
SECONDS: Final = 900
RED: Final = 1
"""pytest's exit status when a test failed; others say that no test ran."""


@dataclass(frozen=True)
class Plant:
    """A fault: in *file*, *old* stands where the fault has *new*; *tests* have to turn red."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def plants() -> list[Plant]:
    """Return what ``plants.toml`` lists."""
    rows: list[dict[str, Any]] = tomllib.loads(LIST.read_text())["plant"]
    return [Plant(**{**row, "tests": tuple(row["tests"])}) for row in rows]


def stage(place: Path) -> None:
    """Copy the code and its tests to *place*."""
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for part in PARTS:
        shutil.copytree(ROOT / part, place / part, ignore=ignore)
    for name in FILES:
        shutil.copy(ROOT / name, place / name)


def run(place: Path, tests: tuple[str, ...]) -> int:
    """Run *tests* in the copy at *place* and return pytest's exit status; one that does not end is red."""
    paths = (str(place / part) for part in (".", "ledger", "api", "tests"))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "--tb=no",
        "-p",
        "no:cacheprovider",
        *tests,
    ]
    try:
        done = subprocess.run(
            command, cwd=place, env=env, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return RED
    return done.returncode


def judge(place: Path, plant: Plant) -> str:
    """Plant the fault in the copy at *place*, take it out again, and return what came of it."""
    if run(place, plant.tests) != 0:
        return "not green without it"
    path = place / plant.file
    sound = path.read_text()
    path.write_text(sound.replace(plant.old, plant.new))
    try:
        status = run(place, plant.tests)
    finally:
        path.write_text(sound)
    return (
        "red"
        if status == RED
        else "STAYS GREEN"
        if status == 0
        else f"no test ran (status {status})"
    )


def main() -> int:
    """Plant each fault, or those whose name contains one of the arguments; print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only those whose name contains one of these")
    names: list[str] = parser.parse_args().names
    chosen = [one for one in plants() if not names or any(name in one.name for name in names)]
    missed = 0
    with tempfile.TemporaryDirectory(prefix="pfgov-plants-") as folder:
        place = Path(folder) / "copy"
        stage(place)
        for number, plant in enumerate(chosen, start=1):
            found = judge(place, plant)
            missed += found != "red"
            print(f"{number:3} of {len(chosen)}  {found:12}  {plant.name}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} faults turn their tests red")
    return 1 if missed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
