"""Properties of a policy: generated facts, the first counterexample, and a smaller one.

``never`` is an expression over the facts and ``decision``; an input on which it is exactly true is a
counterexample (where it cannot be decided, it says nothing).  ``monotone`` raises or lowers one fact
and looks whether the outcome became worse.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from pfgov.core.policy_port import Question
from pfgov.core.verdicts import Point, Verdict
from pfgov.errors import PolicyError
from pfgov.policy.authoring import inputs
from pfgov.policy.authoring.asking import with_more
from pfgov.policy.authoring.testing.generate import (
    Facts,
    Generator,
    Known,
    hints_of,
    pool_of,
    shrink,
)
from pfgov.policy.authoring.testing.model import Property
from pfgov.policy.cel import CelLoadError, Checked, Environment, check, exact, ir, parse
from pfgov.policy.cel.possible import walk
from pfgov.policy.cel.types import BOOL, NumberType, Record, StringType
from pfgov.policy.facts import ABSENT_AT, MORE, ROOTS, ROOTS_AT, LabelTypes, root_types
from pfgov.policy.files.model import KERNEL, Text
from pfgov.policy.judging.functions import FUNCTIONS
from pfgov.policy.judging.judge import PolicySet
from pfgov.policy.problems import PolicyErrors, Problem, did_you_mean
from pfgov.policy.soundness import expression_problems

_RANK: Final = {"deny": 0, "escalate": 1, "allow": 2}
_DECISION: Final = StringType(16, frozenset(_RANK))
_STEPS: Final = (0.01, 0.1, 1.0, 10.0)
_NEAR_MAX: Final = 16
"""Inputs that were allowed and are tried with other values of what a property reads."""


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
    rules = [r.clause.root for p in run.property.points for r in run.policies.judges[p].rules]
    generator = Generator(
        seed, pool, run.known, [*reads, *checker.reads], hints_of([*rules, *checker.roots])
    )
    allowed: list[_Input] = []
    for _ in range(run.property.runs):
        point = generator.choice(run.property.points)
        roots = {
            root: generator.facts(_kind(root, point))
            for root in ROOTS_AT[point]
            if isinstance(ROOTS[root].type, Record) and root not in ABSENT_AT.get(point, ())
        }
        found = _Input(point, roots, generator.choice(_STEPS))
        if checker.fails(found):
            smaller = shrink(roots, _still(checker, found))
            return checker.report(_Input(point, smaller, found.raised))
        if checker.is_allowed and len(allowed) < _NEAR_MAX:
            allowed.append(found)
    # Near what was allowed only the facts that the property reads are changed: what a rule asks besides stays met.
    for _ in range(run.property.runs if allowed and run.property.kind == "never" else 0):
        near = generator.choice(allowed)
        moved = {
            root: generator.near(root, facts, checker.reads) for root, facts in near.roots.items()
        }
        if checker.fails(replace(near, roots=moved)):
            return checker.report(replace(near, roots=shrink(moved, _still(checker, near))))
    idle = checker.idle
    if idle is None:
        return None
    return Counterexample(
        f"it was never put to the test: {idle} in {run.property.runs} generated inputs",
        ("inputs are generated near the facts of the cases: add a case that comes close",),
    )


def _kind(root: str, point: Point) -> str:
    """Return whose facts *root* has at *point*: what would be changed there is a packet or a member."""
    return "packet" if (root, point) == ("before", Point.UPDATE) else root


def _still(checker: "_Never | _Monotone", found: _Input) -> Callable[[Mapping[str, Facts]], bool]:
    return lambda facts: checker.fails(_Input(found.point, facts, found.raised))


def _verdict(policies: PolicySet, found: _Input) -> Verdict:
    return policies.judge_one(_question(found), found.roots.get("member"))


def _question(found: _Input) -> Question:
    asked = Question(
        point=found.point,
        action=found.point.value,
        packet=found.roots.get("packet"),
        source=found.roots.get("source"),
        principal=found.roots["principal"],
        reason="requested",
        now=0,
        more={root: facts for root, facts in found.roots.items() if root in MORE},
    )
    return with_more(asked, dict(found.roots.get("member", {})))


def _lines(found: _Input, verdict: Verdict) -> tuple[str, ...]:
    stated = {
        root: inputs.differences(_kind(root, found.point), facts)
        for root, facts in found.roots.items()
    }
    facts = [f"{root}: {json.dumps(one, sort_keys=True)}" for root, one in stated.items() if one]
    reasons = [f"{reason.name}: {reason.message}" for reason in verdict.reasons]
    return (f"at: {found.point.value}", *facts, *reasons)


class _Never:
    """``never: EXPRESSION``.  Its *premise* is what it says of the facts alone; one that never holds tests nothing."""

    def __init__(self, run: PropertyRun) -> None:
        text = run.property.expression
        assert text is not None
        self._policies = run.policies
        self._text = text.text
        checked = compiled(text, run.policies.labels.types())
        found = unknown_labels(text, checked, run.policies, run.known)
        if found:
            raise PolicyErrors(found)
        self._holds = exact(checked)
        self.reads = [str(access) for access in checked.paths]
        self.roots = [checked.root]
        self._premise = [exact(part) for part in _premise(checked)]
        self.is_allowed = False
        """Whether the input that was asked last was allowed."""
        self._was_allowed = self._was_decided = self._was_met = False

    def fails(self, found: _Input) -> bool:
        verdict = _verdict(self._policies, found)
        values = self._policies.values(_question(found), found.roots.get("member"))
        values["decision"] = verdict.outcome
        holds = self._holds(values)
        self.is_allowed = verdict.outcome == "allow"
        self._was_allowed = self._was_allowed or self.is_allowed
        self._was_decided = self._was_decided or type(holds) is bool
        self._was_met = self._was_met or all(part(values) is True for part in self._premise)
        return holds is True

    @property
    def idle(self) -> str | None:
        """Why the property was never put to the test; None if it was."""
        if not self._was_allowed:
            return "nobody was allowed"
        if not self._was_decided:
            return f"`{self._text}` could never be decided"
        return None if self._was_met else "what it says of the facts never held"

    def report(self, found: _Input) -> Counterexample:
        verdict = _verdict(self._policies, found)
        return Counterexample(
            f"`{self._text}` is true, with decision {verdict.outcome}", _lines(found, verdict)
        )


def _premise(checked: Checked) -> list[Checked]:
    """Return the operands of a conjunction that say nothing of the decision."""
    root = checked.root
    parts = root.operands if isinstance(root, ir.Logic) and root.kind == "all" else (root,)
    facts = [
        part
        for part in parts
        if not any(isinstance(node, ir.Var) and node.name == "decision" for node in walk(part))
    ]
    return [replace(checked, root=part) for part in facts]


def compiled(text: Text, labels: LabelTypes | None) -> Checked:
    """Return the checked expression of a ``never``, which may name every fact but ``before``, and ``decision``.

    Raises:
        PolicyErrors: It does not compile, or cannot be meant; every problem, with its place.
    """
    types = root_types([root for root in ROOTS if root != "before"], labels)
    environment = Environment({**types, "decision": _DECISION}, FUNCTIONS)
    try:
        checked = check(parse(text.text), environment, BOOL)
    except CelLoadError as error:
        raise PolicyErrors(
            text.problem(p.code, p.message, p.line, p.column, p.hint) for p in error.problems
        ) from None
    odd = [one for one in expression_problems(text, checked) if one.severity == "error"]
    if odd:
        raise PolicyErrors(odd)
    return checked


def unknown_labels(
    text: Text, checked: Checked, policies: PolicySet, known: Known, policy: str | None = None
) -> list[Problem]:
    """Return a problem for each label that neither a rule reads nor a case sets: it would be absent in every input.

    With *policy* only its rules, and the kernel's, are those that are tried.
    """
    names = {
        path[2]
        for path in _paths_read(policies, Point, policy)
        if path[1:2] == ("labels",) and len(path) > 2
    }
    for facts in (one for every in known.values() for one in every):
        labels = facts.get("labels")
        names.update(cast("Facts", labels) if isinstance(labels, dict) else ())
    read = {a.path[2] for a in checked.paths if len(a.path) == 3 and a.path[1] == "labels"}
    return [
        text.problem(
            "policy.test.label",
            f"no rule reads and no case sets the label `{name}`",
            hint=did_you_mean(name, names) or "set it in a case, or read it in a rule",
        )
        for name in sorted(read - names)
    ]


def _paths_read(
    policies: PolicySet, points: Iterable[Point], policy: str | None = None
) -> set[tuple[str, ...]]:
    """Return the paths that rules read at *points*: of *policy* and the kernel where it is named, else of all."""
    return {
        access.path
        for point in points
        for rule in policies.judges[point].rules
        if policy in {None, rule.policy} or rule.policy == KERNEL
        for part in (rule.clause, *(rule.message.values if rule.message else ()))
        for access in part.paths
    }


def moves_nothing(
    found: Property, policies: PolicySet, policy: str | None = None
) -> Problem | None:
    """Return a problem of a ``monotone`` about a fact that no rule reads: however it moves, nothing changes."""
    path = found.path
    if any(
        read[: len(path)] == path or path[: len(read)] == read
        for read in _paths_read(policies, found.points, policy)
    ):
        return None
    return found.place.problem(
        "policy.test.property",
        f"no rule that is tried reads `{'.'.join(path)}`: the property `{found.name}` cannot fail",
        "name a fact that a rule compares, or remove the property",
    )


class _Monotone:
    roots: Sequence[ir.Node] = ()
    is_allowed = False

    def __init__(self, run: PropertyRun) -> None:
        self._was_allowed = False
        idle = moves_nothing(run.property, run.policies)
        if idle is not None:
            raise PolicyErrors([idle])
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
        self._was_allowed = self._was_allowed or before == "allow"
        return _RANK[_verdict(self._policies, moved).outcome] < _RANK[before]

    @property
    def idle(self) -> str | None:
        """Why the property was never put to the test; None if it was."""
        return None if self._was_allowed else "nobody was allowed"

    def report(self, found: _Input) -> Counterexample:
        moved = self._moved(found)
        assert moved is not None
        before, after = _verdict(self._policies, found), _verdict(self._policies, moved)
        sentence = (
            f"with {'.'.join(self._path)} {self._read(found)} the decision is {before.outcome}, "
            f"with {self._read(moved)} it is {after.outcome}"
        )
        return Counterexample(sentence, _lines(found, after))
