"""The tests of a policy set that came as texts, run against a set that need not be in files here.

What comes out is what ``pfgov policy test`` finds in a folder, cut to what a person reads.  Nothing is recorded, and it
does not matter here where the set is from: texts, a bundle, or a ledger.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from pfgov.app.policies import NAME
from pfgov.errors import InvalidError
from pfgov.policy import PolicyErrors, PolicySet
from pfgov.policy.authoring.testing.runner import Report, Result, run_directory
from pfgov.policy.files.folder import FIXTURES, TEST_SUFFIX
from pfgov.policy.problems import NoTestsError, Problem

TEXT_SHOWN_MAX: Final = 400
"""Characters of what is said of one check, line by line."""

LINES_SHOWN_MAX: Final = 8
"""Lines of what is said of one check."""


def of_texts(tests: Mapping[str, str], policies: PolicySet, most: int) -> Report:
    """Run *tests*, name -> YAML text, against *policies*: ``NAME.test.yaml`` is one, every other name holds fixtures.

    Raises:
        InvalidError: a name is not that of a YAML file in one folder.
        PolicyErrors: the tests cannot be read, or are more than *most* checks.
        NoTestsError: there is none.
    """
    for name in tests:
        if not NAME.fullmatch(name):
            raise InvalidError(
                f"{name[:64]!r} is not a file name like trust.test.yaml", pointer="/tests",
                hint="lower-case letters, digits, dots, dashes; no folders",
            )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="pfgov-policies-") as folder:
        (Path(folder) / FIXTURES).mkdir()
        for name, text in tests.items():
            place = Path(folder) if name.endswith(TEST_SUFFIX) else Path(folder) / FIXTURES
            (place / name).write_text(text, encoding="utf-8")
        return of_folder(Path(folder), policies, most)


def of_folder(folder: Path, policies: PolicySet, most: int) -> Report:
    """Run the tests in *folder* against *policies*; where the folder is stands nowhere in what is said.

    Raises:
        PolicyErrors: the tests cannot be read, or are more than *most* checks.
        NoTestsError: there is none.
    """
    before = f"{folder}{os.sep}"

    def named(text: str) -> str:
        own = text.replace(f"{before}{FIXTURES}{os.sep}", "").replace(before, "")
        return own.replace(str(folder), "the tests")

    def as_sent(problem: Problem) -> Problem:
        hint = None if problem.hint is None else named(problem.hint)
        return replace(problem, file=named(problem.file), message=named(problem.message), hint=hint)

    try:
        report = run_directory(folder, against=policies, most=most)
    except PolicyErrors as error:
        raise PolicyErrors(as_sent(one) for one in error.problems) from None
    except NoTestsError:
        raise NoTestsError(
            "there is no test among what was sent",
            hint=f"a test is called NAME{TEST_SUFFIX}, everything else is taken for fixtures",
        ) from None
    report.results[:] = [replace(one, file=named(one.file)) for one in report.results]
    return report


def shown(report: Report, most: int) -> dict[str, object]:
    """Return what the tests came to as a server shows it: at most *most* checks one by one, those that fail first."""
    failed = report.failed
    passed = [one for one in report.results if one.passed]
    coverage = report.coverage
    return {
        "policy": report.digest,
        "passed": len(passed),
        "failed": len(failed),
        "results": [_result(one) for one in [*failed, *passed][:most]],
        "coverage": {
            "seen": coverage.reached,
            "wanted": len(coverage.wanted),
            "missed": _texts(coverage.missed, most),
            "points": {
                "seen": coverage.reached_points,
                "wanted": len(coverage.wanted_points),
                "missed": _texts(coverage.missed_points, most),
            },
        },
    }


def _result(one: Result) -> dict[str, object]:
    return {
        "file": one.file,
        "line": one.line,
        "case": one.case,
        "member": _cut(one.member),
        "passed": one.passed,
        "expected": _cut(one.expected),
        "got": _cut(one.got),
        "problem": None if one.problem is None else _cut(one.problem),
        "details": [_cut(line) for line in one.details[:LINES_SHOWN_MAX]],
    }


def _texts(found: Sequence[object], most: int) -> list[str]:
    return [_cut(str(one)) for one in found[:most]]


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_SHOWN_MAX else text[: TEXT_SHOWN_MAX - 1] + "…"
