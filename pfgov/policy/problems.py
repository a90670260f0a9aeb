"""What can be wrong with policy files: positioned problems, all of them at once.

A problem names its file, line and column, carries a stable ``code`` and, wherever one can be
guessed, a hint with what was probably meant.  Loading never stops at the first one: an author gets
the whole list, a machine gets the codes.  This module knows neither YAML nor CEL.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from pfgov import errors
from pfgov.core.lookalikes import oddity, plainly
from pfgov.errors import PolicyError

Severity = Literal["error", "warning"]

_NEAR: Final = 0.6
"""How alike two words must be before one is suggested for the other (difflib's own default)."""


def one_line(text: str) -> str:
    """Return *text* so that it makes no line of its own: the name of a file can hold anything."""
    return text.replace("\n", "\\n").replace("\r", "\\r")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that an author should know.

    Attributes:
        code: Stable and documented, such as ``policy.unknown_key`` or ``cel.unknown_field``.
        message: One sentence with the offending text in it.
        file: The file as it was named to the loader, or the name of a document without a file.
        line: 1-based; 0 when the problem is the file as a whole.
        column: 1-based, in code points.
        hint: What was probably meant or what to do next, or None.
        severity: An ``error`` refuses the set, a ``warning`` only fails ``policy check``.
    """

    code: str
    message: str
    file: str
    line: int = 0
    column: int = 0
    hint: str | None = None
    severity: Severity = "error"

    def as_error(self) -> errors.Problem:
        """Return this problem as every other input's problems are reported."""
        return errors.Problem(self.where, self.message, self.code, self.hint)

    def as_dict(self) -> dict[str, object]:
        """Return this problem as ``--json`` prints it."""
        return {
            "code": self.code,
            "message": self.message,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "hint": self.hint,
            "severity": self.severity,
        }

    @property
    def where(self) -> str:
        """The place, as editors and terminals follow it, on one line whatever the file is called."""
        file = one_line(self.file)
        return f"{file}:{self.line}:{self.column}" if self.line else file

    def as_text(self) -> str:
        """Return this problem as every command prints it: a line, and one below it for the hint."""
        hint = f"\n    {one_line(self.hint)}" if self.hint else ""
        return f"{self.where}: {self.severity}: {one_line(self.message)} [{self.code}]{hint}"

    def __str__(self) -> str:
        """Render as ``file:line:column: code: message``."""
        return f"{self.where}: {self.code}: {self.message}"


class PolicyFolderError(PolicyError):
    """The folder with the policies is not there, so nothing could be checked."""

    code = "policy.no_folder"
    exit_status = 4


class NoPolicyError(PolicyError):
    """There is no policy in the folder: another one was meant."""

    code = "policy.no_files"
    exit_status = 2


class NoTestsError(PolicyError):
    """The folder holds policies and no test of them, or none that was asked for: nothing was tried."""

    code = "policy.no_tests"
    exit_status = 1


class TestsFailError(PolicyError):
    """The tests beside the policies fail as they are, so that what they would notice cannot be said."""

    __test__ = False  # not a test of pytest's

    code = "policy.tests_fail"
    exit_status = 1


class PolicyTargetError(PolicyError):
    """The folder that policies are to be copied to holds something already."""

    code = "policy.exists"
    exit_status = 2


class UnknownPackError(PolicyError):
    """There are no shipped policies of that name to copy."""

    code = "policy.not_shipped"
    exit_status = 2


class PolicyErrors(PolicyError):  # noqa: N818 - several at once, by design
    """A policy set was refused; ``problems`` holds every reason, in the order of files and lines."""

    code = "policy.invalid"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = in_order(problems)
        first = self.problems[0]
        more = len(self.problems) - 1
        tail = f" (and {more} more)" if more else ""
        super().__init__(
            f"{first}{tail}", hint=first.hint, errors=[item.as_error() for item in self.problems]
        )

    @property
    def codes(self) -> tuple[str, ...]:
        """The distinct codes, sorted: what the ledger records of a refused set."""
        return tuple(sorted({problem.code for problem in self.problems}))


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return *problems* without repetitions, sorted by file and position: a rule is asked at several points."""
    unique: dict[Problem, Problem] = {}
    for problem in problems:
        unique.setdefault(replace(problem, hint=None), problem)
    return tuple(sorted(unique.values(), key=lambda p: (p.file, p.line, p.column, p.code)))


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return a hint naming the known word nearest to *word*, and what is odd about *word*; None when neither is found.

    >>> did_you_mean("mesage", ["message", "when"])
    'did you mean `message`?'
    """
    names: Sequence[str] = sorted(known)
    plain, odd = plainly(word), oddity(word)
    near = difflib.get_close_matches(plain, names, n=1, cutoff=_NEAR)
    if not near:
        lowered = {name.lower(): name for name in names}
        near = [lowered[plain.lower()]] if plain.lower() in lowered else []
    if not near:
        return odd
    return f"did you mean `{near[0]}`?" + (f" {odd}" if odd else "")
