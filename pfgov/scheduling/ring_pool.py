"""Many candidates on one merged ring: a search instead of a distance for each.

Rings are kept by their members and derived from each other when few members differ.  What is kept
decides only how long a choice takes: the reference is :class:`pfgov.scheduling.ring.Ring` without
any of this, and a property test holds both equal after any history.
"""

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Final

from pfgov.core.scheduler import Candidate, Choice, Request, fits
from pfgov.scheduling.draws import Accepts, position, ranks
from pfgov.scheduling.hash_ring import CIRCLE, SLOT_BITS, SLOT_MASK, HashRing

SCORE_SHIFT: Final = 11
"""A score is the top 53 bits of the 64-bit nearness; the order is that of all 64 bits."""

RINGS_KEPT: Final = 8
"""Merged rings kept per scheduler; at 1,000 members of 128 tokens each takes about 5 MB."""

DERIVE_MAX: Final = 64
"""A ring is derived from the latest one when at most this many members differ."""

PARTS: Final = 1 << 15
"""Lookups know where each of this many parts of the circle starts in the merged array."""

PART_SHIFT: Final = 64 - 15

_Members = frozenset[tuple[str, int]]


def within_share(bound_permille: int, active_total: int, weight_total: int) -> Accepts:
    """Return the test "has room, and is within its share of all packets, this one included".

    ``active < bound x (active_total + 1) x weight / weight_total``, compared without division.
    Some candidate always passes the second half: otherwise the members together would hold more
    than they do.
    """
    if not bound_permille:
        return fits
    share = bound_permille * (active_total + 1)
    scale = 1_000 * weight_total

    def accepts(request: Request, candidate: Candidate) -> bool:
        return candidate.active * scale < share * candidate.weight and fits(request, candidate)

    return accepts


class RingPool:
    """Candidates on one merged ring.  A choice costs a hash, a search and a few comparisons.

    Args:
        ring: A ring that holds exactly the candidates, with their weights.
        candidates: The candidates.
        bound_permille: The bound on load, 0 for none.
        crowded: What to ask when nobody has room within its share.
    """

    def __init__(
        self,
        ring: HashRing,
        candidates: Sequence[Candidate],
        *,
        bound_permille: int,
        crowded: Callable[[Request], Choice | None],
    ) -> None:
        self.ring = ring
        self._tokens = array("Q")
        self._slots = array("I")
        self._starts = array("I")
        self._bound = bound_permille
        self._crowded = crowded
        self._by_id = {candidate.member_id: candidate for candidate in candidates}
        self._by_slot = [
            None if member_id is None else self._by_id[member_id] for member_id in ring.slots
        ]
        self._known = {member_id: other.active for member_id, other in self._by_id.items()}
        self._active = sum(self._known.values())
        self._weight = sum([candidate.weight for candidate in candidates])
        self._accepts = within_share(self._bound, self._active, self._weight)

    def refresh(self, member_id: str) -> None:
        """Read one member's load again.

        Raises:
            KeyError: the pool has no such member.
        """
        now = self._by_id[member_id].active
        self._active += now - self._known[member_id]
        self._known[member_id] = now
        self._accepts = within_share(self._bound, self._active, self._weight)

    def lookup(self, request: Request) -> str | None:
        """Return the id of the member that :meth:`choose` would choose, without a runner-up."""
        starts = self._starts or self._index()
        if len(self._tokens) > 3:
            at = position(request.packet_id)
            part = at >> PART_SHIFT
            index = bisect_left(self._tokens, at, starts[part], starts[part + 1])
            nearest = self._by_slot[self._slots[index]]
            alone = self._tokens[index] != self._tokens[index + 1]
            if alone and nearest is not None and self._accepts(request, nearest):
                return nearest.member_id
        choice = self.choose(request)
        return None if choice is None else choice.member_id

    def _index(self) -> "array[int]":  # array takes no subscript at run time before 3.12
        """Lay the ring out for lookups: packed arrays, and where each part of the circle starts.

        The first two entries are repeated at the end, so that a search may run one past it.
        """
        entries = self.ring.entries
        closed = [*entries, *entries[:2]]
        self._tokens = array("Q", [entry >> SLOT_BITS for entry in closed])
        self._slots = array("I", [entry & SLOT_MASK for entry in closed])
        size = len(entries)
        parts = [bisect_left(self._tokens, part << PART_SHIFT, 0, size) for part in range(PARTS)]
        self._starts = array("I", [*parts, size])
        return self._starts

    def choose(self, request: Request) -> Choice | None:
        """Return the nearest acceptable member."""
        found: list[tuple[int, Candidate]] = []
        for distance, slot in self.ring.walk(position(request.packet_id)):
            if len(found) > 1 and distance != found[-1][0]:
                break
            candidate = self._by_slot[slot]
            if candidate is not None and self._accepts(request, candidate):
                found.append((distance, candidate))
        if not found:
            crowded = self._crowded(request)
            return None if crowded is None else crowded._replace(scores=())
        if len({distance for distance, _ in found}) < len(found):
            found = _in_order(request, found)
        distance, first = found[0]
        score = CIRCLE - 1 - distance >> SCORE_SHIFT
        if len(found) == 1:
            return Choice(first.member_id, score)
        distance, second = found[1]
        second_score = CIRCLE - 1 - distance >> SCORE_SHIFT
        return Choice(first.member_id, score, second.member_id, second_score)


def _in_order(request: Request, found: list[tuple[int, Candidate]]) -> list[tuple[int, Candidate]]:
    """Return *found* by distance, and members at the same distance by their ranks."""
    drawn = ranks(request, [candidate for _, candidate in found])
    order = sorted(
        range(len(found)),
        key=lambda index: (found[index][0], -drawn[index], found[index][1].member_id),
    )
    return [found[index] for index in order]


class RingCache:
    """Merged rings by their members; the least recently used is forgotten first."""

    def __init__(self, vnodes: int) -> None:
        self._vnodes = vnodes
        self._rings: OrderedDict[_Members, HashRing] = OrderedDict()
        self._lock = Lock()

    def ring(self, candidates: Sequence[Candidate]) -> HashRing:
        """Return the ring of *candidates*."""
        with self._lock:
            return self._get(_members(candidates))

    def _get(self, members: _Members) -> HashRing:
        ring = self._rings.get(members)
        if ring is None:
            ring = self._derived(members) or HashRing(dict(members), self._vnodes)
            self._rings[members] = ring
            if len(self._rings) > RINGS_KEPT:
                self._rings.popitem(last=False)
        self._rings.move_to_end(members)
        return ring

    def _derived(self, members: _Members) -> HashRing | None:
        if not self._rings:
            return None
        latest = next(reversed(self._rings))
        if len(latest ^ members) > DERIVE_MAX:
            return None
        ring = self._rings[latest]
        for member_id, _ in latest - members:
            ring = ring.without(member_id)
        for member_id, weight in sorted(members - latest):
            ring = ring.with_member(member_id, weight)
        return ring


def _members(candidates: Sequence[Candidate]) -> _Members:
    return frozenset([(candidate.member_id, candidate.weight) for candidate in candidates])
