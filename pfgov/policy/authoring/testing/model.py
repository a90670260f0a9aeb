"""What a ``NAME.test.yaml`` says, resolved: questions, candidates and what is expected of each.

Frozen values between the reader (:mod:`pfgov.policy.authoring.testing.files`) and the runner.
"""

from dataclasses import dataclass, field
from typing import Literal

from pfgov.core.policy_port import Question
from pfgov.core.verdicts import Point
from pfgov.policy.authoring.asking import with_more
from pfgov.policy.files.model import Place, Text

Outcome = Literal["allow", "escalate", "deny"]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of one candidate.

    ``denies`` and ``escalates`` are exact sets of reason names (``policy/rule`` or
    ``pfgov:reserved``), ``missing`` an exact set of paths, ``obligations`` an exact set of types,
    ``shadow`` an exact set of what policies that do not bind would have said, ``approvals`` the most different
    principals that one of its rules asks; None is not looked at.
    """

    outcome: Outcome | None
    denies: frozenset[str] | None = None
    escalates: frozenset[str] | None = None
    missing: frozenset[str] | None = None
    obligations: frozenset[str] | None = None
    shadow: frozenset[str] | None = None
    approvals: int | None = None


DENIED = Expectation("deny")
"""What is expected of a candidate that no expectation names."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One member (or none, at ``export``) with what is expected of it."""

    name: str
    facts: dict[str, object]
    expected: Expectation


@dataclass(frozen=True, slots=True)
class Case:
    """One question about some candidates."""

    name: str
    place: Place
    question: Question
    candidates: tuple[Candidate, ...]

    def asked(self, candidate: Candidate) -> Question:
        """Return the question about *candidate*: what would be changed was itself before."""
        return with_more(self.question, candidate.facts)


@dataclass(frozen=True, slots=True)
class Property:
    """Something that must hold for all facts.

    Attributes:
        kind: ``never``: ``expression`` is never true.  ``monotone``: raising (or lowering) the fact
            at ``path`` never makes an outcome worse.
        points: The decision points that are asked.
        runs: How many inputs are generated.
        seed: Other inputs for another number.
    """

    name: str
    place: Place
    kind: Literal["never", "monotone"]
    points: tuple[Point, ...]
    expression: Text | None = None
    path: tuple[str, ...] = ()
    direction: Literal["up", "down"] = "up"
    runs: int = 400
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TestFile:
    """One test file.  ``policy`` is None when the whole folder is under test.

    With ``is_enforced`` the policy is tried as if it were binding, though it is in shadow mode.
    """

    __test__ = False  # not a test of pytest's

    path: str
    policy: str | None
    now: int
    cases: tuple[Case, ...] = ()
    properties: tuple[Property, ...] = ()
    is_enforced: bool = False


@dataclass(slots=True)
class Fixtures:
    """Named facts, by root: ``packet``, ``member``, ``principal``."""

    named: dict[str, dict[str, dict[str, object]]] = field(
        default_factory=lambda: {"packet": {}, "member": {}, "principal": {}}
    )
