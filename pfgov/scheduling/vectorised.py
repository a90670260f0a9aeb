"""The same choices with numpy (extra ``fast``): bin packing over many candidates, and owners in
batches.

Integers only, 64 bits wide; where a product could need more, the division is done in two steps of
three digits.  Property tests hold every result equal to the plain Python reference, ties included.
Import this module only when numpy is installed.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pfgov.core.scheduler import MICRO, Candidate, Choice, Request, fits
from pfgov.scheduling.binpack_pool import Memo, Value
from pfgov.scheduling.draws import MASK, member_number, tie_number
from pfgov.scheduling.hash_ring import SLOT_BITS, SLOT_MASK, HashRing
from pfgov.scheduling.shares import compared_dimensions, free_now, taken

Ints = NDArray[np.int64]

ONE_STEP_MAX: Final = (2**63 - 1) // MICRO
"""Capacities up to this (9.2 million units) are divided in one step."""


class _Column:
    """One dimension of all candidates.

    Attributes:
        free: What is free in micro-units; 0 where unlimited.
        capacity: What to divide by, at least 1.
        unlimited: Where there is no limit, None if nowhere.
        wide: Whether some capacity needs the two-step division.
    """

    def __init__(self, candidates: Sequence[Candidate], dimension: str) -> None:
        frees = [free_now(candidate, dimension) for candidate in candidates]
        capacities = [candidate.capacity.get(dimension, 1) or 1 for candidate in candidates]
        self.free: Ints = np.array([free or 0 for free in frees], dtype=np.int64)
        self.capacity: Ints = np.array(capacities, dtype=np.int64)
        nowhere = np.array([free is None for free in frees], dtype=np.bool_)
        self.unlimited = nowhere if nowhere.any() else None
        self.wide = max(capacities) > ONE_STEP_MAX

    def left(self, demand: int) -> Ints:
        """Return what would be left, negative where there is no room."""
        left = self.free - demand
        if self.unlimited is not None:
            left[self.unlimited] = 0
        return left

    def shares(self, left: Ints) -> Ints:
        """Return ``left * 10**6 // capacity`` where *left* is not negative, elsewhere anything."""
        if self.wide:
            whole, rest = np.divmod(left * 1_000, self.capacity)
            shares = whole * 1_000 + rest * 1_000 // self.capacity
        else:
            shares = left * MICRO // self.capacity
        if self.unlimited is not None:
            shares[self.unlimited] = MICRO
        return shares


class FastBinPackPool:
    """Candidates as arrays, prepared for bin packing; the arguments are those of
    ``BinPackPool``.
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
        self._declared = sorted({name for other in candidates for name in other.capacity})
        self._columns = {name: _Column(candidates, name) for name in self._declared}
        self._numbers = np.array(
            [member_number(candidate.member_id) for candidate in candidates], dtype=np.uint64
        )
        self._memo = Memo(candidates, value, self._fresh)

    def refresh(self, member_id: str) -> None:
        """Read one member's load again.

        Raises:
            KeyError: the pool has no such member.
        """
        slot = self._slots[member_id]
        candidate = self._candidates[slot]
        for dimension, column in self._columns.items():
            column.free[slot] = free_now(candidate, dimension) or 0
        self._memo.changed(slot)

    def choose(self, request: Request) -> Choice | None:
        """Return the best-scored member with room."""
        values = self._memo.values(request)
        hidden: list[tuple[int, int]] = []
        found: list[tuple[int, int]] = []
        try:
            while len(found) < 2 and self._candidates:
                slot = int(values.argmax())
                score = values.item(slot)
                if score < 0:
                    break
                values[slot] = -1
                if values.item(values.argmax()) == score:
                    values[slot] = score
                    slot = self._first_of_equals(request, values, score)
                    values[slot] = -1
                hidden.append((slot, score))
                if fits(request, self._candidates[slot]):
                    found.append((slot, score))
        finally:
            for slot, score in hidden:
                values[slot] = score
        if not found:
            return None
        (slot, score), *others = found
        chosen = self._candidates[slot].member_id
        if not others:
            return Choice(chosen, score)
        ((slot, second_score),) = others
        return Choice(chosen, score, self._candidates[slot].member_id, second_score)

    def _first_of_equals(self, request: Request, values: Ints, score: int) -> int:
        equals = (values == score).nonzero()[0]
        drawn = np.uint64(tie_number(request)) * self._numbers[equals] & np.uint64(MASK)
        first: list[int] = equals[drawn == drawn.max()].tolist()
        return min(first, key=lambda slot: self._candidates[slot].member_id)

    def _fresh(self, request: Request) -> Ints:
        compared = compared_dimensions(request, self._dimensions)
        lefts: list[Ints] = []
        shares: list[Ints] = []
        for dimension in {*compared, *self._declared}:
            column = self._columns.get(dimension)
            if column is None:  # nobody declares it: everybody is unlimited
                shares.append(np.full(len(self._candidates), MICRO, dtype=np.int64))
                continue
            left = column.left(taken(request, dimension))
            lefts.append(left)
            if dimension in compared:
                shares.append(column.shares(left))
        values = self._combined(shares)
        if lefts:
            values[_minima(lefts) < 0] = -1
        return values


def _sums(shares: list[Ints]) -> Ints:
    return reduce(np.add, shares)


def _complements(shares: list[Ints]) -> Ints:
    return len(shares) * MICRO - _sums(shares)


def _balances(shares: list[Ints]) -> Ints:
    shares = [np.clip(each, 0, MICRO) for each in shares]  # rows without room hold anything
    count = len(shares)
    squares = _sums([share * share for share in shares])
    return MICRO - _isqrt(count * squares - _sums(shares) ** 2) // count


def _isqrt(squares: Ints) -> Ints:
    """Return integer square roots; the estimate in floating point is corrected in integers."""
    roots = np.sqrt(squares.astype(np.float64)).astype(np.int64)
    roots -= roots * roots > squares
    roots += (roots + 1) * (roots + 1) <= squares
    return roots


def _minima(shares: list[Ints]) -> Ints:
    return reduce(np.minimum, shares)


_COMBINED: Final[dict[str, Callable[[list[Ints]], Ints]]] = {
    "least-allocated": _sums,
    "most-allocated": _complements,
    "balanced": _balances,
    "dominant-resource": _minima,
}


class Owners:
    """The owners of many positions at once, as :meth:`HashRing.owner` finds them one by one."""

    def __init__(self, ring: HashRing) -> None:
        self._tokens = np.array([entry >> SLOT_BITS for entry in ring.entries], dtype=np.uint64)
        self._holders = [ring.slots[entry & SLOT_MASK] for entry in ring.entries]

    def of(self, positions: Sequence[int]) -> list[str | None]:
        """Return the owner of every position; None for all of them on an empty ring."""
        holders = self._holders
        if not holders:
            return [None] * len(positions)
        found = np.searchsorted(self._tokens, np.array(positions, dtype=np.uint64), side="left")
        return [holders[index - len(holders)] for index in found.tolist()]
