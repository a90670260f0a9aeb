"""Bin packing over many candidates in plain Python: scores by column, kept by demand.

Packets of one workload tend to ask for the same amounts, so the scores of all members are kept for
the last few demands, and after a placement only the changed members are scored again.  What is kept
decides only how long a choice takes; ``BinPack.choose`` is the reference.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from math import isqrt
from operator import add
from typing import Final, Generic, Protocol, TypeVar

from pfgov.core.scheduler import MICRO, Candidate, Choice, Request
from pfgov.scheduling.draws import best_two
from pfgov.scheduling.shares import compared_dimensions, free_now, taken

DEMANDS_KEPT: Final = 64
"""Different demands whose scores a pool keeps."""

_UNLIMITED: Final = 10**40
"""Stands for the capacity of an unlimited member: its share stays 10**6 whatever is asked."""

Value = Callable[[Request, Candidate], int]
"""The reference: one candidate's score, -1 when it has no room."""


class Vector(Protocol):
    """A mutable row of scores: a list, or a numpy array."""

    def __setitem__(self, index: int, value: int, /) -> None:
        """Put one member's score."""
        ...


V = TypeVar("V", bound=Vector)


class Memo(Generic[V]):
    """The scores of all members for the last few demands.

    Args:
        candidates: The members.
        value: The reference, asked for members that changed.
        fresh: Computes all scores at once, equal to *value* where that is not negative.
    """

    def __init__(
        self, candidates: Sequence[Candidate], value: Value, fresh: Callable[[Request], V]
    ) -> None:
        self._candidates = candidates
        self._value = value
        self._fresh = fresh
        self._kept: OrderedDict[tuple[tuple[str, int], ...], tuple[V, int]] = OrderedDict()
        self._changed: list[int] = []

    def changed(self, slot: int) -> None:
        """Note that the member at *slot* must be scored again."""
        self._changed.append(slot)
        if len(self._changed) > 64 * len(self._candidates):
            self._kept.clear()
            self._changed.clear()

    def values(self, request: Request) -> V:
        """Return the scores for *request*; the caller leaves them as they are."""
        key = tuple(sorted(request.demand.items()))
        kept = self._kept.pop(key, None)
        now = len(self._changed)
        if kept is not None and now - kept[1] <= len(self._candidates) // 8:
            values = kept[0]
            for slot in set(self._changed[kept[1] :]):
                values[slot] = self._value(request, self._candidates[slot])
        else:
            values = self._fresh(request)
        self._kept[key] = values, now
        if len(self._kept) > DEMANDS_KEPT:
            self._kept.popitem(last=False)
        return values


class BinPackPool:
    """Candidates prepared for bin packing.

    Args:
        candidates: The members.
        dimensions: Dimensions that are always compared.
        strategy: A key of ``binpack.STRATEGIES``.
        value: The reference.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        dimensions: AbstractSet[str],
        strategy: str,
        value: Value,
    ) -> None:
        self._candidates = candidates
        self._dimensions = dimensions
        self._combined = _COMBINED[strategy]
        self._slots = {other.member_id: slot for slot, other in enumerate(candidates)}
        self._columns: dict[str, list[tuple[int, int]]] = {}
        self._memo = Memo(candidates, value, self._fresh)

    def refresh(self, member_id: str) -> None:
        """Read one member's load again.

        Raises:
            KeyError: the pool has no such member.
        """
        slot = self._slots[member_id]
        for dimension, column in self._columns.items():
            column[slot] = _fraction(self._candidates[slot], dimension)
        self._memo.changed(slot)

    def choose(self, request: Request) -> Choice | None:
        """Return the best-scored member with room."""
        values = self._memo.values(request)
        first, second = best_two(request, self._candidates, values)
        if first < 0:
            return None
        chosen = self._candidates[first].member_id
        if second < 0:
            return Choice(chosen, values[first])
        return Choice(chosen, values[first], self._candidates[second].member_id, values[second])

    def _fresh(self, request: Request) -> list[int]:
        """Return all scores; negative where a compared dimension has no room."""
        columns: list[list[int]] = []
        for dimension in compared_dimensions(request, self._dimensions):
            asked = taken(request, dimension) * MICRO
            fractions = self._column(dimension)
            columns.append([(free - asked) // capacity for free, capacity in fractions])
        values = self._combined(columns)
        for shares in columns:
            if min(shares) < 0:
                pairs = zip(shares, values, strict=True)
                values = [-1 if share < 0 else value for share, value in pairs]
        return values

    def _column(self, dimension: str) -> list[tuple[int, int]]:
        column = self._columns.get(dimension)
        if column is None:
            column = [_fraction(candidate, dimension) for candidate in self._candidates]
            self._columns[dimension] = column
        return column


def _fraction(candidate: Candidate, dimension: str) -> tuple[int, int]:
    """Return ``free * 10**6`` and the capacity to divide it by."""
    free = free_now(candidate, dimension)
    if free is None:
        return (MICRO + 1) * _UNLIMITED - 1, _UNLIMITED
    return free * MICRO, candidate.capacity[dimension] or 1


def _sums(columns: list[list[int]]) -> list[int]:
    total: Iterable[int] = columns[0]
    for column in columns[1:]:
        total = map(add, total, column)
    return list(total)


def _complements(columns: list[list[int]]) -> list[int]:
    everything = len(columns) * MICRO
    return [everything - total for total in _sums(columns)]


def _balances(columns: list[list[int]]) -> list[int]:
    if len(columns) == 2:  # isqrt(2(xx + yy) - (x + y)(x + y)) is the difference of x and y
        return [MICRO - abs(x - y) // 2 for x, y in zip(*columns, strict=True)]
    count = len(columns)
    return [
        MICRO - isqrt(count * sum([share * share for share in row]) - sum(row) ** 2) // count
        for row in zip(*columns, strict=True)
    ]


def _minima(columns: list[list[int]]) -> list[int]:
    return columns[0] if len(columns) == 1 else list(map(min, *columns))


_COMBINED: Final[dict[str, Callable[[list[list[int]]], list[int]]]] = {
    "least-allocated": _sums,
    "most-allocated": _complements,
    "balanced": _balances,
    "dominant-resource": _minima,
}
