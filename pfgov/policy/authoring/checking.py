"""``policy check`` as a function: everything that is wrong or doubtful in a folder of policies.

Policies, definitions, fixtures and tests are all read, and what properties say is compiled, so that a misspelt
fixture, or fact, is found here as well.  Nothing is judged.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from pfgov.errors import PolicyError
from pfgov.policy.authoring.lint import lint
from pfgov.policy.authoring.testing.runner import read_tests, wrong_properties
from pfgov.policy.files.folder import Unread
from pfgov.policy.judging.judge import PolicySet
from pfgov.policy.load import Files, compiled_files, load_directory, read_directory
from pfgov.policy.problems import PolicyErrors, Problem, in_order

_OF_RULES = frozenset({"policy.test.policy", "policy.test.reason"})
"""What tests name and is not there: of no use to anybody while a file is not read in which it may stand."""


@dataclass(frozen=True, slots=True)
class Check:
    """What a check found; ``policies`` is None when the set does not load, ``unread`` what is no file of it."""

    problems: tuple[Problem, ...]
    policies: PolicySet | None
    unread: tuple[Unread, ...] = ()

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
    return check_files(path, read_directory(path))


def check_files(path: str | os.PathLike[str], files: Files) -> Check:
    """Compile *files*, read from *path*, and read the tests beside them; raises as :func:`check_directory`."""
    if not files.policies and not files.problems:
        load_directory(path)  # it says what to do in an empty folder
    policies, problems = compiled_files(files, generated=False)
    try:
        tests = read_tests(Path(path), files)
        problems += [] if policies is None else wrong_properties(tests, policies)
    except PolicyErrors as error:
        is_whole = all(problem.severity != "error" for problem in files.problems)
        problems += [one for one in error.problems if is_whole or one.code not in _OF_RULES]
    except PolicyError as error:
        problems.append(Problem(error.code, error.message, os.fspath(path), hint=error.hint))
    if policies is not None:
        problems += lint(files.policies, files.definitions, policies)
    is_sound = all(problem.severity != "error" for problem in problems)
    return Check(in_order(problems), policies if is_sound else None, tuple(files.unread))
