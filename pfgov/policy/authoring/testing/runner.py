"""Runs the tests beside policies: what each candidate got against what was expected.

The policies under test are compiled exactly as the engine compiles them, kernel included.  A file
that names a policy tests that policy and the kernel; one that names none tests the whole folder.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pfgov.core.verdicts import RESERVED, Verdict
from pfgov.policy.authoring.testing.coverage import Coverage
from pfgov.policy.authoring.testing.files import read_fixtures, read_test_file, test_files
from pfgov.policy.authoring.testing.model import (
    Candidate,
    Case,
    Expectation,
    Fixtures,
    Property,
    TestFile,
)
from pfgov.policy.authoring.testing.properties import (
    Counterexample,
    PropertyRun,
    compiled,
    hold,
    moves_nothing,
    unknown_labels,
)
from pfgov.policy.facts import ROOTS_AT
from pfgov.policy.files.labels import declarations
from pfgov.policy.files.model import KERNEL, Policy
from pfgov.policy.judging.judge import PolicySet
from pfgov.policy.load import Files, follows, kernel_policy, load_directory, read_directory
from pfgov.policy.problems import NoTestsError, PolicyErrors, Problem
from pfgov.policy.soundness import expression_problems


@dataclass(frozen=True, slots=True)
class Result:
    """One candidate of one case, or one property.

    Attributes:
        file: The test file.
        line: Where the case stands.
        case: Its name.
        member: The candidate's name; empty for a property or at ``export``.
        problem: What differs, in one sentence; None when it is as expected.
        details: Further lines: the sentences of the reasons, or a counterexample.
        expected: What the case says; empty for a property.
        got: The outcome with the names of its reasons; empty for a property.
    """

    file: str
    line: int
    case: str
    member: str = ""
    problem: str | None = None
    details: tuple[str, ...] = ()
    expected: str = ""
    got: str = ""

    @property
    def passed(self) -> bool:
        """Whether it is as expected."""
        return self.problem is None


@dataclass(slots=True)
class Report:
    """All results of one run, with the coverage of the rules."""

    results: list[Result] = field(default_factory=list[Result])
    digest: str = ""
    coverage: Coverage = field(default_factory=Coverage)

    @property
    def failed(self) -> list[Result]:
        """The results that are not as expected."""
        return [result for result in self.results if not result.passed]


def run_directory(
    path: str | os.PathLike[str],
    *,
    only: str | None = None,
    against: PolicySet | None = None,
    generated: bool = True,
    most: int | None = None,
) -> Report:
    """Run every test below *path*; with *only*, those whose file, case or policy contains it.

    The policies are those of the folder, or those of the set *against*; with *most*, nothing is run if there are more
    checks.

    Raises:
        PolicyErrors: The policies, the fixtures or the tests do not load; all problems.
        PolicyError: There is no such folder, or neither policies nor tests in it.
    """
    root = Path(path)
    whole = load_directory(root, generated=generated) if against is None else against
    files = read_directory(root) if against is None else _files_of(against)
    tests = read_tests(root, files)
    if not tests:
        raise NoTestsError(
            f"there is no test in {root}",
            hint="tests are named NAME.test.yaml and stand beside the policies",
        )
    checks = sum(len(case.candidates) for one in tests for case in one.cases)
    checks += sum(len(one.properties) for one in tests)
    if most is not None and checks > most:
        message = f"{checks} checks are more than the {most} that are run at once"
        raise PolicyErrors(
            [Problem("policy.test.too_many", message, str(root), hint="split the tests")]
        )
    report = Report()
    report.coverage.expect(whole)
    report.digest = whole.digest
    sets: dict[tuple[str | None, bool], PolicySet] = {(None, False): whole}
    for test in tests:
        key = (test.policy, test.is_enforced)
        if key not in sets:
            chosen = [
                tried(policy, test) for policy in files.policies if policy.name == test.policy
            ]
            sets[key] = files.compiled(chosen, generated=generated)
        _run_file(test, sets[key], report, only)
    if only is not None and not report.results:
        raise NoTestsError(
            f"no test of {root} has {only!r} in its file, policy or case",
            hint="a run that tries nothing is no pass; leave --only out to run all",
        )
    return report


def _files_of(found: PolicySet) -> Files:
    """Return the files that *found* was made of."""
    bundle = found.bundle
    return Files(
        policies=[policy for policy in bundle.policies if policy.name != KERNEL],
        definitions=list(bundle.definitions),
        labels=list(bundle.labels),
    )


def tried(policy: Policy, test: TestFile) -> Policy:
    """Return *policy* as *test* tries it: as it is, or binding although it is in shadow mode."""
    return replace(policy, mode="enforce") if test.is_enforced else policy


def read_tests(root: Path, files: Files) -> list[TestFile]:
    """Read all tests and fixtures below *root*.

    Raises:
        PolicyErrors: With every problem in them.
    """
    problems: list[Problem] = []
    fixtures: Fixtures = read_fixtures(root, problems)
    policies: Sequence[Policy] = [kernel_policy(), *files.policies]
    made = [read_test_file(path, fixtures, policies, problems) for path in test_files(root)]
    labels = declarations(files.labels).types()
    for text in (one.expression for test in made if test is not None for one in test.properties):
        try:
            if text is not None:
                compiled(text, labels)
        except PolicyErrors as error:
            problems += [one for one in error.problems if not follows(one, files)]
    if problems:
        raise PolicyErrors(problems)
    return [test for test in made if test is not None]


def wrong_properties(tests: Sequence[TestFile], policies: PolicySet) -> list[Problem]:
    """Return what is wrong or doubtful in the properties of *tests*: what does not compile, and what cannot fail."""
    return [
        problem
        for test in tests
        for one in test.properties
        for problem in _wrong_property(one, test, policies)
    ]


def _wrong_property(one: Property, test: TestFile, policies: PolicySet) -> Sequence[Problem]:
    if one.expression is None:
        idle = moves_nothing(one, policies, test.policy)
        return [] if idle is None else [idle]
    try:
        checked = compiled(one.expression, policies.labels.types())
    except PolicyErrors as error:
        return error.problems
    unknown = unknown_labels(one.expression, checked, policies, known_facts(test), test.policy)
    return [*expression_problems(one.expression, checked), *unknown]


def _run_file(test: TestFile, policies: PolicySet, report: Report, only: str | None) -> None:
    for case in test.cases:
        if _chosen(only, test, case.name):
            report.results += _run_case(test, case, policies, report.coverage)
    for item in test.properties:
        if _chosen(only, test, item.name):
            run = PropertyRun(item, policies, known_facts(test))
            found = hold(run)
            report.results.append(_property_result(test, item.name, item.place.line, found))


def _chosen(only: str | None, test: TestFile, name: str) -> bool:
    return only is None or any(only in text for text in (test.path, test.policy or "", name))


def known_facts(test: TestFile) -> dict[str, list[dict[str, object]]]:
    """Return the facts of the file's own cases, by root: generated inputs start near them."""
    known: dict[str, list[dict[str, object]]] = {}
    for case in test.cases:
        asked = case.question
        for root, facts in (("packet", asked.packet), ("principal", asked.principal)):
            known.setdefault(root, []).extend([dict(facts)] if facts else [])
        known.setdefault("source", []).extend([dict(asked.source)] if asked.source else [])
        known.setdefault("member", []).extend(c.facts for c in case.candidates if c.facts)
    return known


def _run_case(
    test: TestFile, case: Case, policies: PolicySet, coverage: Coverage
) -> Iterable[Result]:
    for candidate, verdict in verdicts_of(case, policies):
        coverage.see(policies, case.asked(candidate), candidate.facts)
        problem = difference(candidate.expected, verdict, test.policy)
        yield Result(
            file=test.path,
            line=case.place.line,
            case=case.name,
            member=candidate.name,
            problem=problem,
            details=_details(verdict, policies, test) if problem else (),
            expected=_shown(candidate.expected, test.policy),
            got=_got(verdict, test.policy),
        )


def verdicts_of(case: Case, policies: PolicySet) -> list[tuple[Candidate, Verdict]]:
    """Return each candidate of *case* with what *policies* say of it."""
    every = case.candidates
    if "before" in ROOTS_AT[case.question.point]:  # which is another one's for each
        return [(one, policies.judge_one(case.asked(one), one.facts)) for one in every]
    return list(
        zip(every, policies.judge(case.question, [one.facts for one in every]), strict=True)
    )


def _details(verdict: Verdict, policies: PolicySet, test: TestFile) -> tuple[str, ...]:
    lines = [f"{reason.name}: {reason.message}" for reason in verdict.reasons]
    lines += [f"shadow {reason.name}: {reason.message}" for reason in verdict.shadow]
    if (test.policy, "shadow") in {(name, mode) for name, _, mode in policies.policies}:
        lines.append(
            f"{test.policy} is in shadow mode and binds nothing: expect `shadow: [RULE]`, or write `mode: enforce` in "
            "this file to try it as if it were binding"
        )
    return tuple(lines)


def _property_result(test: TestFile, name: str, line: int, found: Counterexample | None) -> Result:
    if found is None:
        return Result(test.path, line, name)
    return Result(test.path, line, name, problem=found.sentence, details=found.lines)


def difference(expected: Expectation, verdict: Verdict, policy: str | None) -> str | None:
    """Return how *verdict* differs from what was expected, or None."""
    denies = {reason.name for reason in verdict.reasons if reason.effect == "deny"}
    escalates = {reason.name for reason in verdict.reasons if reason.effect == "escalate"}
    shadow = {reason.name for reason in verdict.shadow}
    if expected.outcome not in {None, verdict.outcome}:
        return f"expected {_shown(expected, policy)}, got {_got(verdict, policy)}"
    missing = {reason.missing for reason in verdict.reasons if reason.missing is not None}
    owed: set[str] = {obligation.type for obligation in verdict.obligations}
    sides: tuple[tuple[str, frozenset[str] | None, set[str]], ...] = (
        ("deny", expected.denies, denies),
        ("escalate", expected.escalates, escalates),
        ("missing", expected.missing, missing),
        ("obligations", expected.obligations, owed),
        ("shadow", expected.shadow, shadow),
    )
    for what, wanted, found in sides:
        if wanted is not None and set(wanted) != found:
            return f"{what}: expected {_names(set(wanted), policy)}, got {_names(found, policy)}"
    asked = max((r.approvals for r in verdict.reasons if r.effect == "escalate"), default=0)
    if expected.approvals not in {None, asked}:
        return f"approvals: expected {expected.approvals}, got {asked}"
    return None


def _got(verdict: Verdict, policy: str | None) -> str:
    names = {one.name for one in verdict.reasons if one.effect in {"deny", "escalate"}}
    return f"{verdict.outcome} {_names(names, policy)}" if names else str(verdict.outcome)


def _shown(expected: Expectation, policy: str | None) -> str:
    names = (expected.denies or frozenset()) | (expected.escalates or frozenset())
    said = expected.outcome or "any outcome"
    return f"{said} {_names(set(names), policy)}".rstrip() if names else said


def _names(names: set[str], policy: str | None) -> str:
    own = f"{policy}/"
    return f"[{', '.join(sorted(name.removeprefix(own) for name in names))}]"


__all__ = [
    "KERNEL",
    "RESERVED",
    "Report",
    "Result",
    "difference",
    "known_facts",
    "read_tests",
    "run_directory",
    "tried",
    "verdicts_of",
    "wrong_properties",
]
