"""Verdicts on a fleet: what the columns say of each class of candidates, put together once a class.

Candidates that are in the same group of every column are one *class*: no rule, message or obligation tells them apart,
so they share one verdict.  The verdicts are those that :class:`~pfgov.policy.judging.judge.Judge` gives one by one,
in the same
order of reasons; a property test holds the two together.  A fleet is prepared for the candidates of one question and
kept up when some of them change; it knows neither members nor state, only their facts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import is_
from typing import Final, Generic, TypeVar

from pfgov.core.commands import Obligation
from pfgov.core.policy_port import Kinds, Question
from pfgov.core.verdicts import Reason, Verdict, combine
from pfgov.policy.facts import shared_facts
from pfgov.policy.judging.columns import Column

Facts = Mapping[str, object]
AnyColumn = Column[Reason] | Column[tuple[Obligation, ...]]
Said = TypeVar("Said")

STALE_MAX: Final = 16
"""Classes or groups beyond twice the candidates there are: most hold nobody any more, and all are made anew."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The columns of one decision point.

    Attributes:
        always: Reasons that everybody gets.
        binding: A column for each rule that binds, in order.
        shadowed: A column for each rule that is shadowed.
        duties: A column for each rule with obligations.
    """

    always: tuple[Reason, ...]
    binding: Sequence[Column[Reason]]
    shadowed: Sequence[Column[Reason]]
    duties: Sequence[Column[tuple[Obligation, ...]]]


class _Piles(Generic[Said]):
    """For each class what is said of it, in order; one number for all classes of which the same is said."""

    def __init__(self, size: int) -> None:
        self.ends = [0] * size
        self.piles: list[tuple[Said, ...]] = [()]

    def add(self, numbers: Sequence[int], said: Said) -> None:
        """Put *said* on the piles of the classes *numbers*."""
        ends, piles = self.ends, self.piles
        if len(numbers) == 1:
            (number,) = numbers
            piles.append((*piles[ends[number]], said))
            ends[number] = len(piles) - 1
            return
        moved: dict[int, int] = {}
        for number in numbers:
            end = ends[number]
            after = moved.get(end)
            if after is None:
                after = moved[end] = len(piles)
                piles.append((*piles[end], said))
            ends[number] = after


def _verdict(
    reasons: tuple[Reason, ...],
    owed: tuple[tuple[Obligation, ...], ...],
    shadow: tuple[Reason, ...],
) -> Verdict:
    found = combine(reasons, (), shadow)
    if not owed or found.outcome == "deny":
        return found
    return combine(reasons, tuple(dict.fromkeys(chain.from_iterable(owed))), shadow)


class Fleet:
    """The candidates of one decision point, by class."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        every: list[AnyColumn] = [*rules.binding, *rules.shadowed, *rules.duties]
        self._still = [column for column in every if not column.is_moving]
        self._moving = [column for column in every if column.is_moving]
        self._columns = [*self._still, *self._moving]
        self._reset()

    def _reset(self) -> None:
        for column in self._columns:
            column.forget()
        self._classes: dict[tuple[int, ...], int] = {}
        self._groups: list[tuple[int, ...]] = []
        self._of: list[int] = []
        self._members: Sequence[Facts] = ()
        self._in_group: dict[int, list[list[int]]] = {}

    def kinds(self, question: Question, members: Sequence[Facts]) -> Kinds:
        """Return the verdicts on *members*, whose facts are from validated models.

        The record of a member whose facts changed has to be another one, but for its load and reliability.
        """
        shared = shared_facts(question)
        self._update(members)
        size = len(self._classes)
        rendered = self._piled(size, shared, self._rules.binding)
        hidden = self._piled(size, shared, self._rules.shadowed)
        owed = self._piled(size, shared, self._rules.duties)
        ends = list(zip(rendered.ends, hidden.ends, owed.ends, strict=True))
        numbers = {each: number for number, each in enumerate(dict.fromkeys(ends))}
        verdicts = [
            _verdict(self._rules.always + rendered.piles[t], owed.piles[o], hidden.piles[h])
            for t, h, o in numbers
        ]
        kinds = [numbers[end] for end in ends]
        return Kinds(verdicts, [kinds[number] for number in self._of])

    def _piled(self, size: int, shared: Facts, columns: Sequence[Column[Said]]) -> "_Piles[Said]":
        """Pile up, for each class, what *columns* say of it; equal piles are one."""
        piles = _Piles[Said](size)
        for column in columns:
            outcomes = column.outcomes(shared)
            in_group = self._classes_in(column) if outcomes else ()  # type: ignore[arg-type]  # one of the two
            for group, said in outcomes:
                piles.add(in_group[group], said)
        return piles

    # --- who is in which class --------------------------------------------------------------------

    def _update(self, members: Sequence[Facts]) -> None:
        before = self._members
        is_same = len(before) == len(members) and all(map(is_, before, members))
        if is_same and not self._moving:
            return
        self._take(before, members)
        most = 2 * len(members) + STALE_MAX
        if len(self._classes) > most or any(column.size > most for column in self._columns):
            self._reset()
            self._take((), members)
        self._in_group.clear()

    def _take(self, before: Sequence[Facts], members: Sequence[Facts]) -> None:
        """Find the class of each of *members*; those that were there *before* moved in the moving columns only."""
        for column in self._moving:
            column.forget()  # an example of a group may have another load by now
        if self._moving:
            self._classes = {}
        known = {id(facts): groups for facts, groups in zip(before, self._groups, strict=False)}
        self._groups = [
            known.get(id(facts)) or tuple([column.group(facts) for column in self._still])
            for facts in members
        ]
        classes, every = self._classes, self._groups
        if self._moving:
            every = [
                (*groups, *[column.group(facts) for column in self._moving])
                for groups, facts in zip(self._groups, members, strict=True)
            ]
        self._of = [classes.setdefault(groups, len(classes)) for groups in every]
        self._members = tuple(members)

    def _classes_in(self, column: AnyColumn) -> list[list[int]]:
        """For each group of *column*, return the classes in it."""
        found = self._in_group.get(id(column))
        if found is None:
            found = self._in_group[id(column)] = [[] for _ in range(column.size)]
            place = self._columns.index(column)
            for number, groups in enumerate(self._classes):
                found[groups[place]].append(number)
        return found
