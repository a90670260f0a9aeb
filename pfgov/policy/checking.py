"""``policy check`` as a function: everything that is wrong or doubtful in a folder of policies.

Policies, definitions, fixtures and tests are all read, so that a misspelt fixture is found here as
well.  Nothing is judged.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from pfgov.errors import PolicyError
from pfgov.policy.lint import lint
from pfgov.policy.load import load_directory, read_directory
from pfgov.policy.policyset import PolicySet
from pfgov.policy.problems import PolicyErrors, Problem, in_order
from pfgov.policy.testing.runner import read_tests


@dataclass(frozen=True, slots=True)
class Check:
    """What a check found; ``policies`` is None when the set does not load."""

    problems: tuple[Problem, ...]
    policies: PolicySet | None

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that refuse the set, or its tests."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def exit_status(self) -> int:
        """0 nothing to say, 1 warnings only, 3 it does not compile."""
        return 3 if self.errors else int(bool(self.problems))


def check_directory(path: str | os.PathLike[str]) -> Check:
    """Read and compile everything below *path*.

    Raises:
        PolicyError: There is no such folder, or no policy in it.
    """
    problems: list[Problem] = []
    policies: PolicySet | None = None
    try:
        policies = load_directory(path, generated=False)
    except PolicyErrors as error:
        problems += error.problems
    files = read_directory(path)
    try:
        read_tests(Path(path), files)
    except PolicyErrors as error:
        problems += error.problems
    except PolicyError as error:
        problems.append(Problem(error.code, error.message, os.fspath(path), hint=error.hint))
    if policies is not None:
        problems += lint(files.policies, files.definitions)
    return Check(in_order(problems), policies)
