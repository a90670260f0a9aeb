"""A policy as its author wrote it, checked for shape but not yet for meaning.

Frozen values between the reader of files (:mod:`pfgov.policy.files.documents`), the canonical document
(:mod:`pfgov.policy.files.document`) and the compiler (:mod:`pfgov.policy.compile`).  Equality ignores
where things stood, so a set read from files equals the set read back from its own document.
Nothing here evaluates.
"""

from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from pfgov.core.commands import Obligation
from pfgov.core.verdicts import Point
from pfgov.policy.problems import Problem, Severity

KERNEL: Final = "kernel"
"""The name of the policy that is always on."""

RESERVED_NAMES: Final = frozenset({KERNEL, "pfgov"})
"""Names that no author can take."""

RuleKind = Literal["require", "deny", "escalate", "oblige"]
Mode = Literal["enforce", "shadow"]

ParamValue = bool | int | float | str | list["ParamValue"] | dict[str, "ParamValue"]
"""A constant: a duration is written as its text."""


class Locates(Protocol):
    """Something in a file that knows where its characters stand (:class:`pfgov.policy.files.source.Scalar`)."""

    @property
    def line(self) -> int:
        """1-based line where it starts."""
        ...

    @property
    def column(self) -> int:
        """1-based column where it starts."""
        ...

    def position(self, line: int, column: int) -> tuple[int, int]:
        """Return the place in the file of a 1-based place in the text."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: a file, and the 1-based line and column."""

    file: str
    line: int = 0
    column: int = 0

    def problem(
        self, code: str, message: str, hint: str | None = None, severity: Severity = "error"
    ) -> Problem:
        """Return a problem at this place."""
        return Problem(code, message, self.file, self.line, self.column, hint, severity)


@dataclass(frozen=True, slots=True)
class Text:
    """A text from a file, usually an expression, with its place."""

    text: str
    place: Place = field(compare=False, repr=False)
    source: Locates | None = field(default=None, compare=False, repr=False)

    def problem(
        self,
        code: str,
        message: str,
        line: int = 1,
        column: int = 1,
        hint: str | None = None,
        severity: Severity = "error",
    ) -> Problem:
        """Return a problem at the 1-based *line* and *column* inside this text."""
        at = (self.place.line, self.place.column)
        if self.source is not None:
            at = self.source.position(line, column)
        return Problem(code, message, self.place.file, *at, hint, severity)


@dataclass(frozen=True, slots=True)
class Param:
    """A typed constant."""

    name: str
    type: str
    value: ParamValue
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Variable:
    """A named expression."""

    name: str
    expression: Text
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        id: Unique within its policy.
        kind: What happens: ``require`` denies unless its condition is true, ``deny`` denies unless
            its condition is false, ``escalate`` asks somebody when it applies, ``oblige`` only
            attaches obligations when it applies.
        on: The decision points, a subset of the policy's.
        when: The rule applies only if this is true; error or missing denies.
        condition: Of ``require`` and ``deny``.
        to: The right that an escalation asks for.
        expires: Microseconds an escalation waits, or None for the engine's default.
        approvals: How many different principals an escalation asks for.
        message: A template with ``{path}`` places, or None for a generated sentence.
        obligations: What must be done for the allowance to stand.
    """

    id: str
    kind: RuleKind
    on: tuple[Point, ...]
    place: Place = field(compare=False, repr=False)
    when: Text | None = None
    condition: Text | None = None
    to: str | None = None
    expires: int | None = None
    message: Text | None = None
    obligations: tuple[Obligation, ...] = ()
    approvals: int = 1


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy file."""

    name: str
    version: str
    description: str
    on: tuple[Point, ...]
    rules: tuple[Rule, ...]
    place: Place = field(compare=False, repr=False)
    mode: Mode = "enforce"
    imports: tuple[Text, ...] = ()
    params: tuple[Param, ...] = ()
    variables: tuple[Variable, ...] = ()
    misread: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    """Params and variables that are there and were a problem themselves: who names one makes no second one."""


@dataclass(frozen=True, slots=True)
class Definitions:
    """A file of shared names, offered to its importers as ``defs.NAME``."""

    name: str
    version: str
    description: str
    place: Place = field(compare=False, repr=False)
    params: tuple[Param, ...] = ()
    variables: tuple[Variable, ...] = ()
    misread: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    """As of a policy."""


LabelOwner = Literal["packet", "member"]
LabelType = Literal["string", "int", "double", "bool", "timestamp"]
LabelChange = Literal["never", "narrow", "rights"]


@dataclass(frozen=True, slots=True)
class Label:
    """A declared label.

    Attributes:
        name: Its name.
        owner: Whose it is.
        type: What its text stands for.
        enum: Of a string: the only values, the widest first.
        pattern: Of a string: the RE2 pattern that a whole value matches.
        set_by: Who may set it: rights, or ``member`` for the member itself.
        change: Once set: ``never``, ``narrow`` (later in the enum, true, or more) or ``rights``, as it was set.
    """

    name: str
    owner: LabelOwner
    type: LabelType
    set_by: tuple[str, ...]
    place: Place = field(compare=False, repr=False)
    enum: tuple[str, ...] = ()
    pattern: str | None = None
    change: LabelChange = "never"


@dataclass(frozen=True, slots=True)
class Labels:
    """A file of declared labels."""

    name: str
    version: str
    description: str
    place: Place = field(compare=False, repr=False)
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that was read for one set, kernel included, in the order of names.

    ``semantics`` and ``schema`` are those that the set was written under: what its digest covers.  None is the present.
    """

    policies: tuple[Policy, ...]
    definitions: tuple[Definitions, ...] = ()
    labels: tuple[Labels, ...] = ()
    semantics: int | None = None
    schema: list[list[str]] | None = field(default=None, repr=False)
