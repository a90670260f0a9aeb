"""Running the tests of a folder against every mutant of its policies, and saying which mistakes nobody would notice.

A mutant is *killed* when a case or a property fails that holds for the policies as they are.  For one that survives, a
case is searched on which it decides otherwise: that is the test that is missing.  Where none is found in the whole
search (:mod:`pfgov.policy.authoring.comparing.search`), the mutant is taken for equivalent, which is said and not
counted.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pfgov.core.verdicts import Point
from pfgov.policy.authoring.comparing.comparison import as_test, elsewhere, known_cases
from pfgov.policy.authoring.comparing.search import Case, Disagreement, search
from pfgov.policy.authoring.mutating.mutants import Mutant, mutants
from pfgov.policy.authoring.testing.model import TestFile
from pfgov.policy.authoring.testing.properties import PropertyRun, hold
from pfgov.policy.authoring.testing.runner import (
    difference,
    known_facts,
    read_tests,
    run_directory,
    tried,
    verdicts_of,
)
from pfgov.policy.files.model import Policy
from pfgov.policy.judging.judge import PolicySet
from pfgov.policy.load import Files, load_directory, read_directory
from pfgov.policy.problems import NoTestsError, PolicyErrors, TestsFailError

CASES_MAX: Final = 2_500
"""Cases tried at one decision point for a mutant that survived."""


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that no test noticed: the case that would, or None where none was found in so many."""

    mutant: Mutant
    test: str | None
    cases: int

    @property
    def is_equivalent(self) -> bool:
        """Whether no case was found on which it decides otherwise."""
        return self.test is None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        place = self.mutant.place
        return {
            "policy": self.mutant.policy,
            "file": place.file,
            "line": place.line,
            "column": place.column,
            "mutation": self.mutant.said,
            "equivalent": self.is_equivalent,
            "cases": self.cases,
            "test": self.test,
        }


@dataclass(frozen=True, slots=True)
class Mutated:
    """What became of the mutants of a folder.

    Attributes:
        digest: The set that the mutants are of.
        killed: How many were noticed.
        invalid: How many do not compile, and so cannot happen.
        survivors: The others, in the order of files and lines.
    """

    digest: str
    killed: int
    invalid: int
    survivors: tuple[Survivor, ...]

    @property
    def missed(self) -> list[Survivor]:
        """The survivors that decide otherwise on some case."""
        return [one for one in self.survivors if not one.is_equivalent]

    @property
    def counted(self) -> int:
        """How many mutants count: those that compile and decide otherwise on some case."""
        return self.killed + len(self.missed)

    def is_at_least(self, percent: int) -> bool:
        """Whether the score reaches *percent*, without rounding."""
        return self.killed * 100 >= percent * self.counted

    @property
    def percent(self) -> int:
        """The score, rounded down; 100 where nothing counts."""
        return 100 if not self.counted else self.killed * 100 // self.counted


def mutate_directory(
    path: str | os.PathLike[str],
    *,
    only: str | None = None,
    every: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Mutated:
    """Try the mutants of the policies below *path*: all, each *every*-th, or those of the policy that is named *only*.

    Raises:
        PolicyErrors: The policies or the tests do not load.
        TestsFailError: A test fails without any mistake.
        NoTestsError: There are no tests.
    """
    root = Path(path)
    before = run_directory(root)
    if before.failed:
        first = before.failed[0]
        raise TestsFailError(
            f"{first.file}:{first.line}: {first.case}: {first.problem}",
            hint=f"the tests have to pass first: pfgov policy test {root}",
        )
    files = read_directory(root)
    known = known_cases(root)
    known += [moved for case in known for moved in elsewhere(case)]
    trial = _Trial(files, read_tests(root, files), known, load_directory(root))
    found = [
        mutant
        for policy in files.policies
        if only in {None, policy.name}
        for mutant in mutants(policy)
    ][every // 2 :: every]
    if not found:
        raise NoTestsError(f"there is nothing to mutate in {root}", hint="name a policy of it")
    killed = invalid = 0
    survivors: list[Survivor] = []
    for number, mutant in enumerate(found):
        if progress is not None:
            progress(number, len(found))
        outcome = trial.outcome(mutant)
        killed += outcome is True
        invalid += outcome is None
        if outcome is False:
            survivors.append(trial.survivor(mutant))
    survivors.sort(key=lambda one: (one.mutant.place.file, one.mutant.place.line))
    return Mutated(before.digest, killed, invalid, tuple(survivors))


class _Trial:
    """The tests of a folder, and the policies that they are about."""

    def __init__(
        self, files: Files, tests: Sequence[TestFile], known: Sequence[Case], whole: PolicySet
    ) -> None:
        self._files, self._tests, self._known, self._whole = files, tests, known, whole
        self._alone: dict[str, PolicySet] = {}

    def outcome(self, mutant: Mutant) -> bool | None:
        """Return whether some test notices *mutant*; None where it does not compile."""
        sets: dict[tuple[str | None, bool], PolicySet | None] = {}
        try:
            for test in self._concerned(mutant):
                key = (test.policy, test.is_enforced)
                if key not in sets:
                    sets[key] = self._compiled(mutant, test)
                chosen = sets[key]
                if chosen is None or _is_noticed(test, chosen):
                    return True
        except PolicyErrors:
            return None
        return False

    def _concerned(self, mutant: Mutant) -> list[TestFile]:
        """Return the test files that can notice *mutant*, those with cases alone first: they are quick."""
        found = [test for test in self._tests if test.policy in {None, mutant.policy}]
        return sorted(found, key=lambda test: (test.policy is None, bool(test.properties)))

    def _compiled(self, mutant: Mutant, test: TestFile) -> PolicySet | None:
        """Return the set with the mistake that *test* is about; None where what it is about is gone."""
        if test.policy is not None:
            if mutant.mutated is None:
                return None
            return self._files.compiled([tried(mutant.mutated, test)], generated=False)
        return self._set(mutant)

    def _set(self, mutant: Mutant) -> PolicySet:
        policies = [
            mutant.mutated if one.name == mutant.policy else one for one in self._files.policies
        ]
        return self._files.compiled([one for one in policies if one is not None], generated=False)

    def survivor(self, mutant: Mutant) -> Survivor:
        """Look for a case on which *mutant* decides otherwise, as the tests of its policy would ask."""
        own = [test for test in self._tests if test.policy == mutant.policy]
        if own and mutant.mutated is not None:
            old = self._policy_alone(mutant.policy)
            new = self._files.compiled([mutant.mutated], generated=False)
        else:
            old, new = self._whole, self._set(mutant)
        cases = 0
        for point in Point:
            found = search(old, new, point, self._known, most=CASES_MAX)
            cases += found.cases
            if found.found is not None:
                case = found.found
                right = Disagreement(case.case, case.new, case.old)
                return Survivor(mutant, as_test(right, f"notices {mutant.said}"), cases)
        return Survivor(mutant, None, cases)

    def _policy_alone(self, name: str) -> PolicySet:
        if name not in self._alone:
            chosen: list[Policy] = [one for one in self._files.policies if one.name == name]
            self._alone[name] = self._files.compiled(chosen, generated=False)
        return self._alone[name]


def _is_noticed(test: TestFile, policies: PolicySet) -> bool:
    for case in test.cases:
        for candidate, verdict in verdicts_of(case, policies):
            if difference(candidate.expected, verdict, test.policy) is not None:
                return True
    return any(
        hold(PropertyRun(one, policies, known_facts(test))) is not None for one in test.properties
    )
