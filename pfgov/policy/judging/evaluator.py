"""Which rules are not satisfied, for each candidate: by the exact evaluator or by generated code.

The one place that chooses between them.  The exact evaluator is the meaning; generated code is only
ever faster, is made when a decision point is first asked, and only from policies that this
installation compiled itself.  Its typed variant sees only facts whose validation the caller vouches
for.

A refused candidate's verdict depends only on which rules it failed and on the values that those rules and their
messages read: as a hashable key, equal keys give equal verdicts, and taking them is far cheaper than making the
reasons again.  Values of different types never share a key, so that ``true`` is not taken for ``1``.

Nothing here reads a clock.  Whoever decides hands in a check that raises when its time is up (:func:`watched`); it is
asked between candidates and before each reason.  Without one, as in a replay or in the tests beside policies, there is
no end.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Final, TypeVar, cast

from pfgov.policy.cel import Failure, exact
from pfgov.policy.cel.generate import Clause, Filter, Findings, Generated, generate, generate_filter
from pfgov.policy.facts import MEMBER_ROOTS
from pfgov.policy.judging.clauses import PlannedRule

Facts = Mapping[str, object]
Item = TypeVar("Item")

LOOK_UNITS: Final = 5_000_000
"""Time units (:mod:`pfgov.policy.cel.cost`) that may pass between two looks: half a second at the most."""

_check: Final[ContextVar[Callable[[], None] | None]] = ContextVar("check", default=None)


class Evaluator:
    """The rules of one decision point."""

    def __init__(self, rules: Sequence[PlannedRule], *, generated: bool) -> None:
        self._rules = rules
        self._is_generated = generated
        self._exact = [exact(rule.clause) for rule in rules]
        self._units = sum(rule.clause.time for rule in rules)

    @cached_property
    def code(self) -> Generated:
        """The generated judges, made once."""
        return generate([_clause(rule) for rule in self._rules])

    def failing(
        self, shared: Facts, members: Sequence[Facts], *, validated: bool
    ) -> list[tuple[int, ...]]:
        """Return, for each of *members*, the indexes of the rules that are not satisfied."""
        if self._is_generated:
            judges = self.code
            judge = judges.filter_typed if validated else judges.filter
            return [
                _indexes(found) if found else ()
                for piece in in_pieces(members, self._units)
                for found in judge(shared, piece)
            ]
        return [
            self.failing_exactly({**shared, "member": member})
            for piece in in_pieces(members, self._units)
            for member in piece
        ]

    def failing_exactly(self, values: Facts) -> tuple[int, ...]:
        """Return the indexes of the rules that are not satisfied, by the exact evaluator."""
        return tuple([i for i, clause in enumerate(self._exact) if clause(values) is not True])


class RuleEvaluator:
    """One rule alone, on many candidates whose facts are validated."""

    def __init__(self, rule: PlannedRule, *, generated: bool) -> None:
        self._rule = rule
        self._is_generated = generated

    @cached_property
    def _filter(self) -> Filter:
        return generate_filter([_clause(self._rule)])

    @cached_property
    def _exact(self) -> Callable[[Facts], object]:
        return exact(self._rule.clause)

    def failing(self, shared: Facts, members: Sequence[Facts]) -> list[tuple[int, bool]]:
        """Return which of *members* do not satisfy the rule, and whether that was decided, not failed to be."""
        if self._is_generated:
            found = [
                one
                for piece in in_pieces(members, self._rule.clause.time)
                for one in self._filter(shared, piece)
            ]
            return [(at, type(one[0].value) is not Failure) for at, one in enumerate(found) if one]
        outcomes = [
            self._exact({**shared, "member": member})
            for piece in in_pieces(members, self._rule.clause.time)
            for member in piece
        ]
        return [
            (at, type(outcome) is not Failure)
            for at, outcome in enumerate(outcomes)
            if outcome is not True
        ]


def _indexes(findings: Findings) -> tuple[int, ...]:
    return tuple([finding.index for finding in findings])


def _clause(planned: PlannedRule) -> Clause:
    when, condition = planned.when, planned.condition
    match planned.rule.kind:
        case "escalate" if when is not None:
            return Clause(planned.name, when, quiet=False)
        case "require" | "deny" if condition is not None:
            return Clause(planned.name, condition, when, quiet=planned.rule.kind == "require")
        case _:
            return Clause(planned.name, planned.clause)


# --- the facts that matter to some rules --------------------------------------------------


_ABSENT: Final = object()
_PLAIN: Final[frozenset[type]] = frozenset({str, float, int})
_TEXT: Final[frozenset[type]] = frozenset({str})


class Fingerprint:
    """Takes the values at some paths: those of the candidate, and those shared by all of them.

    What the border let in has one type at each path, so that a number stands for itself; in any other dictionary ``1``
    and ``1.0`` are two values.
    """

    __slots__ = ("_member", "_plain", "_shared")

    def __init__(self, paths: Iterable[tuple[str, ...]], *, validated: bool = True) -> None:
        every = sorted(set(paths))
        self._plain = _PLAIN if validated else _TEXT
        self._member = tuple(path[1:] for path in every if path[0] in MEMBER_ROOTS)
        self._shared = tuple(path for path in every if path[0] not in MEMBER_ROOTS)

    def shared(self, shared: Facts) -> tuple[object, ...]:
        """Return the part of the key that is the same for every candidate."""
        plain = self._plain
        return tuple([_freeze(_read(shared, path), plain) for path in self._shared])

    def member(self, member: Facts) -> tuple[object, ...]:
        """Return the candidate's own part of the key."""
        if type(member) is not dict:
            return (_freeze(member, self._plain),)
        facts = cast("dict[str, object]", member)
        parts: list[object] = []
        plain = self._plain
        for path in self._member:
            value = facts.get(path[0], _ABSENT) if len(path) == 1 else _read(facts, path)
            parts.append(value if type(value) in plain else _freeze(value, plain))
        return tuple(parts)


def paths_of(planned: PlannedRule) -> set[tuple[str, ...]]:
    """Return every path that a rule and its message read."""
    paths = {access.path for access in planned.clause.paths}
    for checked in planned.message.values if planned.message else ():
        paths.update(access.path for access in checked.paths)
    return paths


def _read(values: Facts, path: tuple[str, ...]) -> object:
    value: object = values
    for step in path:
        if type(value) is not dict:
            return (_ABSENT, step, type(value))
        value = cast("dict[str, object]", value).get(step, _ABSENT)
        if value is _ABSENT:
            return (_ABSENT, step)
    return value


def _freeze(value: object, plain: frozenset[type]) -> object:
    """Return what only an equal value of the same type shares; those of a *plain* type stand for themselves."""
    kind = type(value)
    if kind in plain:
        return value
    if kind is list:
        return (list, *[_freeze(item, plain) for item in cast("list[object]", value)])
    if kind is dict:
        pairs = cast("dict[object, object]", value).items()
        return (dict, *[(_freeze(key, plain), _freeze(item, plain)) for key, item in pairs])
    return (kind, value, repr(value)) if kind is float else (kind, value)  # 0.0 is equal to -0.0


# --- is there time left -----------------------------------------------------------------------------------------------


@contextmanager
def watched(check: Callable[[], None]) -> Generator[None]:
    """Have *check* asked again and again by everything that is judged inside the block; what it raises ends that."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def look() -> None:
    """Ask whether there is time left."""
    check = _check.get()
    if check is not None:
        check()


def in_pieces(items: Sequence[Item], units: int) -> Iterator[Sequence[Item]]:
    """Give *items*, each of which may take *units*, in pieces, and look before each piece."""
    size = max(1, LOOK_UNITS // max(units, 1))
    for start in range(0, len(items), size):
        look()
        yield items[start : start + size] if start or size < len(items) else items
