"""What can go wrong with an expression: at load (for its author) and at evaluation (a value).

    CelLoadError             the expression is refused before it is ever used
    ├── CelSyntaxError       it is not CEL
    └── CelCheckErrors       it is CEL, but not about these facts
    CelError                 one evaluation has no value
    WorkExceededError        one evaluation took too much work

A load error carries :class:`Problem` records, each with a stable ``code``, a
1-based position and, where there is one, a hint.  A failed evaluation surfaces
as a :class:`Failure` value, never as an exception: a caller cannot forget it.
This module knows no policies; what a failure *means* is decided by its user.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

FailureKind = Literal["missing", "type", "error", "cost"]
"""``missing``: an absent fact was read.  ``type``: a value of the wrong type.
``cost``: the work budget ran out.  ``error``: everything else (division by zero, overflow ...)."""

FAILURE_KINDS: Final[tuple[FailureKind, ...]] = ("missing", "type", "error", "cost")


@dataclass(frozen=True, slots=True)
class Failure:
    """The outcome of an evaluation that has no value.

    Attributes:
        kind: Which of :data:`FAILURE_KINDS`.
        path: The access path concerned, such as ``member.trust_score``, when there is one.
        message: For people, and part of the recorded reason: to change it is to change the rules.
    """

    kind: FailureKind
    path: str | None
    message: str

    def __bool__(self) -> bool:
        """Refuse to be a condition: a failure is neither true nor false."""
        raise TypeError("a Failure is neither true nor false; compare with `is True`")


class CelError(Exception):
    """One (sub-)expression has no value: the error of the CEL specification.

    ``&&``, ``||``, ``all`` and ``exists`` may absorb it; otherwise it becomes the
    :class:`Failure` of the whole expression.
    """

    def __init__(
        self, message: str, *, kind: FailureKind = "error", path: str | None = None
    ) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.path = path

    @property
    def failure(self) -> Failure:
        """This error as a value."""
        return Failure(self.kind, self.path, str(self))


class WorkExceededError(Exception):
    """The evaluation did more work than its budget.  Nothing absorbs it: evaluation stops."""

    def __init__(self, message: str = "the evaluation took too much work") -> None:
        super().__init__(message)

    @property
    def failure(self) -> Failure:
        """This error as a value."""
        return Failure("cost", None, str(self))


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why an expression is refused at load.

    ``line`` and ``column`` are 1-based and count code points from the start of the
    expression; ``hint`` says what was probably meant, or is None.
    """

    code: str
    message: str
    line: int
    column: int
    hint: str | None = None

    def __str__(self) -> str:
        """Render as ``line:column: message (hint)``."""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.line}:{self.column}: {self.message}{hint}"


class CelLoadError(Exception):
    """An expression was refused at load; ``problems`` says why, in source order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(
            sorted(problems, key=lambda problem: (problem.line, problem.column))
        )
        super().__init__("; ".join(str(problem) for problem in self.problems))


class CelSyntaxError(CelLoadError):
    """The source text is not a CEL expression, or exceeds a limit of the parser."""

    def __init__(
        self, code: str, message: str, line: int, column: int, hint: str | None = None
    ) -> None:
        super().__init__([Problem(code, message, line, column, hint)])
        self.code = code
        self.message = message
        self.line = line
        self.column = column
        self.hint = hint


class CelCheckErrors(CelLoadError):  # noqa: N818 -- it holds several
    """The expression parses but does not fit its environment: every problem at once."""
