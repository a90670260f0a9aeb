"""Properties of a policy: generated facts, the first counterexample, and a smaller one.

``never`` is an expression over the facts and ``decision``; an input on which it is exactly true is a
counterexample (where it cannot be decided, it says nothing).  ``monotone`` raises or lowers one fact
and looks whether the outcome became worse.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from pfgov.errors import PolicyError
from pfgov.policy import inputs
from pfgov.policy.cel import CelLoadError, Environment, check, exact, parse
from pfgov.policy.cel.types import NumberType, Record, StringType
from pfgov.policy.facts import ROOTS, ROOTS_AT
from pfgov.policy.functions import FUNCTIONS
from pfgov.policy.policyset import PolicySet, Question
from pfgov.policy.problems import PolicyErrors
from pfgov.policy.testing.generate import Facts, Generator, Known, pool_of, shrink
from pfgov.policy.testing.model import Property
from pfgov.verdicts import Point, Verdict

_RANK: Final = {"deny": 0, "escalate": 1, "allow": 2}
_DECISION: Final = StringType(16, frozenset(_RANK))
_STEPS: Final = (0.01, 0.1, 1.0, 10.0)


@dataclass(frozen=True, slots=True)
class PropertyRun:
    """A property, what it is asked of, and the facts to start near."""

    property: Property
    policies: PolicySet
    known: Known


@dataclass(frozen=True, slots=True)
class Counterexample:
    """Facts that break a property, shrunk: a sentence and the facts that matter."""

    sentence: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Input:
    point: Point
    roots: Mapping[str, Facts]
    raised: float | None = None


def hold(run: PropertyRun) -> Counterexample | None:
    """Return a counterexample to the property, or None when none was found.

    Raises:
        PolicyErrors: The expression of a ``never`` does not compile.
    """
    checker = _Never(run) if run.property.kind == "never" else _Monotone(run)
    pool = pool_of(run.policies, run.known)
    reads = [path for point in run.property.points for path in run.policies.reads[point]]
    seed = f"{run.property.name}:{run.property.seed}"
    generator = Generator(seed, pool, run.known, [*reads, *checker.reads])
    for _ in range(run.property.runs):
        point = generator.choice(run.property.points)
        roots = {
            root: generator.facts(root)
            for root in ROOTS_AT[point]
            if isinstance(ROOTS[root].type, Record) and (root != "source" or point != Point.ASSIGN)
        }
        found = _Input(point, roots, generator.choice(_STEPS))
        if checker.fails(found):
            smaller = shrink(roots, _still(checker, found))
            return checker.report(_Input(point, smaller, found.raised))
    if not checker.was_tried:
        return Counterexample(
            f"it was never put to the test: none of {run.property.runs} generated inputs was allowed",
            (
                "add a case with an allowed member: inputs are generated near the facts of the cases",
            ),
        )
    return None


def _still(checker: "_Never | _Monotone", found: _Input) -> Callable[[Mapping[str, Facts]], bool]:
    return lambda facts: checker.fails(_Input(found.point, facts, found.raised))


def _verdict(policies: PolicySet, found: _Input) -> Verdict:
    return policies.judge_one(_question(found), found.roots.get("member"))


def _question(found: _Input) -> Question:
    return Question(
        point=found.point,
        action=found.point.value,
        packet=found.roots.get("packet"),
        source=found.roots.get("source"),
        principal=found.roots["principal"],
        reason="requested",
        now=0,
    )


def _lines(found: _Input, verdict: Verdict) -> tuple[str, ...]:
    facts = [
        f"{root}: {json.dumps(inputs.differences(root, facts), sort_keys=True)}"
        for root, facts in found.roots.items()
        if inputs.differences(root, facts)
    ]
    reasons = [f"{reason.name}: {reason.message}" for reason in verdict.reasons]
    return (f"at: {found.point.value}", *facts, *reasons)


class _Never:
    def __init__(self, run: PropertyRun) -> None:
        self.was_tried = False
        text = run.property.expression
        assert text is not None
        self._policies = run.policies
        self._text = text.text
        types = {name: field.type for name, field in ROOTS.items()}
        environment = Environment({**types, "decision": _DECISION}, FUNCTIONS)
        try:
            checked = check(parse(text.text), environment)
            self._holds = exact(checked)
            self.reads = [str(access) for access in checked.paths]
        except CelLoadError as error:
            raise PolicyErrors(
                text.problem(p.code, p.message, p.line, p.column, p.hint) for p in error.problems
            ) from None

    def fails(self, found: _Input) -> bool:
        verdict = _verdict(self._policies, found)
        values = {**_question(found).shared(), "decision": verdict.outcome}
        values["member"] = found.roots.get("member", {})
        self.was_tried = self.was_tried or verdict.outcome == "allow"
        return self._holds(values) is True

    def report(self, found: _Input) -> Counterexample:
        verdict = _verdict(self._policies, found)
        return Counterexample(
            f"`{self._text}` is true, with decision {verdict.outcome}", _lines(found, verdict)
        )


class _Monotone:
    def __init__(self, run: PropertyRun) -> None:
        self.was_tried = False
        self.reads = [".".join(run.property.path)]
        self._policies = run.policies
        self._path = run.property.path
        self._up = run.property.direction == "up"
        kind = ROOTS[self._path[0]].type
        for step in self._path[1:]:
            assert isinstance(kind, Record)
            kind = kind.fields[step].type
        if not isinstance(kind, NumberType):
            raise PolicyError(f"`{'.'.join(self._path)}` is not a number", code="policy.test")
        self._kind = kind

    def _moved(self, found: _Input) -> _Input | None:
        """Return *found* with the fact moved, or None when it is absent or at its end."""
        value = self._read(found)
        if value is None:
            return None
        step = found.raised or 0.01
        target = value + step if self._up else value - step
        if self._kind.minimum is not None:
            target = max(target, self._kind.minimum)
        if self._kind.maximum is not None:
            target = min(target, self._kind.maximum)
        if self._kind.name == "int":
            target = int(target + 0.5) if self._up else int(target)
        if target == value:
            return None
        changed: Facts = {}
        inner = changed
        for name in self._path[1:-1]:
            inner = cast("Facts", inner.setdefault(name, Facts()))
        inner[self._path[-1]] = target
        root = self._path[0]
        moved = inputs.vary(found.roots[root], changed)
        return _Input(found.point, {**found.roots, root: moved}, found.raised)

    def _read(self, found: _Input) -> int | float | None:
        value: object = found.roots
        for step in self._path:
            value = cast("Facts", value).get(step) if isinstance(value, dict) else None
        return value if isinstance(value, int | float) else None

    def fails(self, found: _Input) -> bool:
        moved = self._moved(found)
        if moved is None:
            return False
        before = _verdict(self._policies, found).outcome
        self.was_tried = self.was_tried or before == "allow"
        return _RANK[_verdict(self._policies, moved).outcome] < _RANK[before]

    def report(self, found: _Input) -> Counterexample:
        moved = self._moved(found)
        assert moved is not None
        before, after = _verdict(self._policies, found), _verdict(self._policies, moved)
        sentence = (
            f"with {'.'.join(self._path)} {self._read(found)} the decision is {before.outcome}, "
            f"with {self._read(moved)} it is {after.outcome}"
        )
        return Counterexample(sentence, _lines(found, after))
