"""``make mutants``: change the code in small ways, run the tests of the place, and list the changes that no test saw.

Each area is staged in a folder of its own, with the two source roots side by side, because mutmut takes the path of a
module for its name.  All mutants of an area take hours; ``MUTANTS=n`` takes a seeded sample and says so.

mutmut imports the modules once, unchanged, and forks: it never sees a change of what a module does when it is imported,
such as the tables of functions.  So each survivor is tried once more in a process of its own, under all tests of its
area.  One that changes nothing observable is not, and is left out of the score: ``equivalent.toml`` lists them with
reasons, not by mutmut's numbers, which every edit moves, but by what they change.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

KILLED: Final = {1, 3, -11, -9, -24, 24, 36, 152, 255}
"""Exit codes of mutmut's workers for a mutant that a test saw: red, crashed, or no longer ending in time."""

ENVIRONMENT: Final = {"PFGOV_MUTANTS": "1", "TMPDIR": tempfile.gettempdir()}
"""Of whatever runs tests: mutmut runs them several times in one process, and the suite's own folder is of one run."""

ALONE_SECONDS: Final = 900
"""After this long the tests of an area hang, on a slow machine, too."""


@dataclass(frozen=True)
class Area:
    """A part of the code, the tests that have to see its mutants, and the score that is asked of them."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    floor: int


WALKS: Final = "tests/unit/decide/test_decide_walks.py"
"""The tests of an area that see most come first, for a survivor is tried under all of them in this order."""

AREAS: Final = {
    "decide": Area(
        ("pfgov/core/decide/*.py",),
        (WALKS, "tests/unit/decide", "tests/property/decide"),
        85,
    ),
    "apply": Area(
        ("pfgov/core/apply/*.py",),
        (WALKS, "tests/unit/decide", "tests/property/decide"),
        85,
    ),
    "evaluator": Area(
        tuple(
            f"pfgov/policy/cel/{name}.py"
            for name in (
                "access", "calls", "closures", "containers", "conversions", "exact", "folds",
                "library", "numbers", "strings", "times", "values",
            )
        ),
        ("tests/conformance/cel", "tests/unit/cel"),
        85,
    ),
    "verifier": Area(
        tuple(
            f"pfgov_ledger/{name}.py"
            for name in (
                "attachments", "canonical", "chain", "checkpoint", "commitments", "conclusions", "custody",
                "ed25519", "entry", "examine", "export_format", "export_lines", "histories", "keys",
                "lifecycle", "merkle", "note", "proof", "reader", "receipt", "signatures", "strict64",
                "subject_map", "subjects", "verdicts", "verify",
            )
        ),
        (
            "tests/conformance/ledger_verify/test_verify_reports.py",
            "tests/conformance/ledger_verify/test_verify_corpus.py", "tests/conformance/ledger/test_ledger_vectors.py",
            "tests/unit/ledger", "tests/unit/ledger_verify",
        ),
        95,
    ),
}  # fmt: skip


def stage(name: str, area: Area, work: Path) -> Path:
    """Copy what the area's tests need to *work*, with both source roots at its top."""
    place = work / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for source, target in (
        ("pfgov", "pfgov"),
        ("ledger/pfgov_ledger", "pfgov_ledger"),
        ("api/pfgov_api", "pfgov_api"),
        ("ledger", "ledger"),
        ("policies", "policies"),
        ("docs", "docs"),
        ("tests", "tests"),
    ):
        shutil.copytree(ROOT / source, place / target, ignore=ignore)
    shutil.rmtree(place / "ledger" / "pfgov_ledger")
    shutil.copy(ROOT / "pyproject.toml", place)
    lines = [
        "[mutmut]",
        f"source_paths=\n  {area.modules[0].split('/')[0]}",
        "only_mutate=" + "".join(f"\n  {pattern}" for pattern in area.modules),
        "also_copy="
        + "".join(
            f"\n  {folder}"
            for folder in ("pfgov", "pfgov_ledger", "pfgov_api", "ledger", "policies", "docs")
        ),
        "pytest_add_cli_args_test_selection=" + "".join(f"\n  {path}" for path in area.tests),
        "pytest_add_cli_args=\n  -p\n  no:cacheprovider\n  -p\n  no:randomly\n  -x",
        "track_dependencies=false",
        "use_git_change_detection=false",
    ]
    (place / "setup.cfg").write_text("\n".join(lines) + "\n")
    return place


def mutmut(place: Path, *arguments: str) -> int:
    """Run mutmut in *place* and return its exit status; what it prints goes through."""
    code = "from mutmut.__main__ import cli; cli()"
    environment = {**os.environ, **ENVIRONMENT}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=place, env=environment, check=False
    ).returncode


def is_seen(place: Path, area: Area, mutant: str) -> bool:
    """Whether a test of *area* turns red, or never ends, where *mutant* is in force from the first import on."""
    arguments = ["--rootdir=.", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    try:
        return (
            subprocess.run(
                [sys.executable, "-m", "pytest", *arguments, *area.tests],
                cwd=place / "mutants",
                env={**os.environ, **ENVIRONMENT, "MUTANT_UNDER_TEST": mutant},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=ALONE_SECONDS,
                check=False,
            ).returncode
            != 0
        )
    except subprocess.TimeoutExpired:
        return True


def difference(place: Path, mutant: str) -> tuple[str, str]:
    """The lines that *mutant* takes away, and those that it puts in their place."""
    code = "import sys; from mutmut.__main__ import show; show.callback(sys.argv[1])"
    shown = subprocess.run(
        [sys.executable, "-c", code, mutant], cwd=place, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    taken, put = (
        "\n".join(line[1:].strip() for line in shown if line[:1] == sign and line[:3] != sign * 3)
        for sign in "-+"
    )
    return taken, put


def why_equivalent(mutant: str, taken: str, put: str) -> str | None:
    """The reason of ``equivalent.toml`` why *mutant* changes nothing that anybody could see, if there is one."""
    listed = tomllib.loads((Path(__file__).parent / "equivalent.toml").read_text())
    for kind in listed.get("kind", ()):
        without = [re.sub(kind["whatever"], "", lines) for lines in (taken, put)]
        if without[0] == without[1]:
            return str(kind["reason"])
    for one in listed.get("mutant", ()):
        function = mutant.rpartition("__mutmut_")[0].rpartition(".")[2]
        if (one["function"], one["taken"], one["put"]) == (function, taken, put):
            return str(one["reason"])
    return None


def outcomes(place: Path) -> dict[str, int | None]:
    """Each mutant's name with its worker's exit code, None for one that was not run."""
    found: dict[str, int | None] = {}
    for meta in sorted((place / "mutants").rglob("*.meta")):
        found.update(json.loads(meta.read_text())["exit_code_by_key"])
    return found


def run(name: str, work: Path, sample: int | None, seed: int, children: str) -> bool:
    """Run one area in *children* processes and print its score; return whether it reached its floor."""
    area = AREAS[name]
    place = stage(name, area, work)
    mutmut(
        place, "run", "--max-children", children, "nothing.of.this.name"
    )  # only makes the mutants
    names = sorted(outcomes(place))
    if not names:
        print(f"{name}: no mutants were made", file=sys.stderr)
        return False
    chosen = names
    if sample is not None and sample < len(names):
        chosen = sorted(random.Random(seed).sample(names, sample))
    mutmut(place, "run", "--max-children", children, *(chosen if len(chosen) < len(names) else ()))
    codes = outcomes(place)
    if is_seen(place, area, "none"):
        print(f"{name}: its tests are red without a change, too", file=sys.stderr)
        return False
    left = [mutant for mutant in chosen if codes[mutant] not in KILLED]
    reasons = {mutant: why_equivalent(mutant, *difference(place, mutant)) for mutant in left}
    again = [mutant for mutant in left if reasons[mutant] is None]
    print(f"{name}: {len(again)} that were not seen are tried alone, one process each", flush=True)
    with ThreadPoolExecutor(int(children)) as threads:
        seen = dict(zip(again, threads.map(partial(is_seen, place, area), again), strict=True))
    survivors = [mutant for mutant in left if not seen.get(mutant)]
    equivalent = sum(reasons[mutant] is not None for mutant in survivors)
    counted, killed = len(chosen) - equivalent, len(chosen) - len(survivors)
    score = 100 * killed / counted
    print(f"\n{name}: {killed} of {counted} mutants killed, {score:.1f} % (asked: {area.floor} %)")
    if len(chosen) < len(names):
        print(f"  a sample of {len(chosen)} of {len(names)}, seed {seed}; MUTANTS=0 runs all")
    print(
        f"  {equivalent} left out as equivalent; exit codes {dict(Counter(codes[m] for m in chosen))}"
    )
    for mutant in survivors:
        reason = reasons[mutant]
        print(f"  survived: {mutant}{f' (equivalent: {reason})' if reason else ''}")
    return score >= area.floor


def main() -> int:
    """Run the areas that the command line names, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "areas", nargs="*", choices=[[], *AREAS], metavar="AREA", help=", ".join(AREAS)
    )
    parser.add_argument("--sample", type=int, default=0, help="mutants of each area (0: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--children", default=str(os.cpu_count() or 1), help="processes at once")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "mutants")
    asked = parser.parse_args()
    done = [
        run(name, asked.work, asked.sample or None, asked.seed, asked.children)
        for name in asked.areas or AREAS
    ]
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
