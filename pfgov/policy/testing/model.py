"""What a ``NAME.test.yaml`` says, resolved: questions, candidates and what is expected of each.

Frozen values between the reader (:mod:`pfgov.policy.testing.files`) and the runner.
"""

from dataclasses import dataclass, field
from typing import Literal

from pfgov.policy.model import Place, Text
from pfgov.policy.policyset import Question
from pfgov.verdicts import Point

Outcome = Literal["allow", "escalate", "deny"]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of one candidate.

    ``denies`` and ``escalates`` are exact sets of reason names (``policy/rule`` or
    ``pfgov:reserved``), ``missing`` an exact set of paths, ``obligations`` an exact set of types;
    None is not looked at.
    """

    outcome: Outcome
    denies: frozenset[str] | None = None
    escalates: frozenset[str] | None = None
    missing: frozenset[str] | None = None
    obligations: frozenset[str] | None = None


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
    """One test file.  ``policy`` is None when the whole folder is under test."""

    __test__ = False  # not a test of pytest's

    path: str
    policy: str | None
    now: int
    cases: tuple[Case, ...] = ()
    properties: tuple[Property, ...] = ()


@dataclass(slots=True)
class Fixtures:
    """Named facts, by root: ``packet``, ``member``, ``principal``."""

    named: dict[str, dict[str, dict[str, object]]] = field(
        default_factory=lambda: {"packet": {}, "member": {}, "principal": {}}
    )
