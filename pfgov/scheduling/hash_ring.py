"""A consistent-hash ring over members and weights, as one sorted array.

Every member has ``vnodes x weight`` tokens, named ``{member}-vnode-{i}`` and hashed to 64 bits; a
position belongs to the first token at or after it, clockwise.  A ring is immutable: adding and
removing a member gives a new ring from the old one in a few milliseconds, where building anew takes
a hundred times as long.
Source: Karger et al., "Consistent hashing and random trees", 1997.

This module knows neither load nor capacity; :mod:`pfgov.scheduling.ring` does.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Final, Self

from pfgov.core.scheduler import WEIGHT_MAX, BadWeightError
from pfgov.scheduling.draws import token

CIRCLE: Final = 1 << 64
"""Positions on the ring."""

SLOT_BITS: Final = 20
"""An entry of the array is ``token << 20 | slot``; the slot is the member's index."""

SLOT_MASK: Final = (1 << SLOT_BITS) - 1

RING_MEMBERS_MAX: Final = 1 << SLOT_BITS
"""Members on one ring: as many as there are slots."""

_CACHED_MAX: Final = 16_384

_tokens: dict[tuple[str, int], tuple[int, ...]] = {}


def tokens(member_id: str, weight: int, vnodes: int) -> tuple[int, ...]:
    """Return a member's tokens, sorted.  A larger weight adds tokens and takes none away.

    Raises:
        BadWeightError: the weight is outside 1..WEIGHT_MAX.
    """
    key = member_id, weight * vnodes
    found = _tokens.get(key)
    if found is None:
        if not 1 <= weight <= WEIGHT_MAX:
            raise BadWeightError(f"member {member_id} has weight {weight}, not 1..{WEIGHT_MAX}")
        if len(_tokens) >= _CACHED_MAX:
            _tokens.clear()
        found = tuple(sorted(token(f"{member_id}-vnode-{index}") for index in range(key[1])))
        _tokens[key] = found
    return found


class HashRing:
    """Members on a ring.

    Attributes:
        entries: Sorted ``token << SLOT_BITS | slot``; read-only.
        slots: Member id by slot, None where a member was removed; read-only.
    """

    __slots__ = ("_by_member", "_vnodes", "entries", "slots")

    def __init__(self, members: Mapping[str, int], vnodes: int) -> None:
        """Build a ring of *members* (id to weight) with *vnodes* tokens per unit of weight.

        Raises:
            BadWeightError: a weight is outside its bounds.
            ValueError: more than :data:`RING_MEMBERS_MAX` members.
        """
        _check_size(len(members))
        self._vnodes = vnodes
        self._by_member = {
            member_id: (slot, members[member_id]) for slot, member_id in enumerate(sorted(members))
        }
        self.slots: list[str | None] = [*self._by_member]
        self.entries = sorted(
            [
                placed << SLOT_BITS | slot
                for member_id, (slot, weight) in self._by_member.items()
                for placed in tokens(member_id, weight, vnodes)
            ]
        )

    @property
    def members(self) -> dict[str, int]:
        """Member ids and their weights."""
        return {member_id: weight for member_id, (_, weight) in self._by_member.items()}

    def with_member(self, member_id: str, weight: int = 1) -> Self:
        """Return this ring plus one member.

        Raises:
            BadWeightError: the weight is outside its bounds.
            ValueError: the member is on the ring already, or the ring is full.
        """
        if member_id in self._by_member:
            raise ValueError(f"{member_id} is on the ring already")
        _check_size(len(self._by_member) + 1)
        slots = [*self.slots] if None in self.slots else [*self.slots, None]
        slot = slots.index(None)
        slots[slot] = member_id
        added = [placed << SLOT_BITS | slot for placed in tokens(member_id, weight, self._vnodes)]
        return self._changed(
            {**self._by_member, member_id: (slot, weight)},
            slots,
            sorted(self.entries + added),  # two sorted runs: one merge
        )

    def without(self, member_id: str) -> Self:
        """Return this ring without one member.

        Raises:
            KeyError: the member is not on the ring.
        """
        slot, weight = self._by_member[member_id]
        kept: list[int] = []
        start = 0
        for placed in tokens(member_id, weight, self._vnodes):
            stop = bisect_left(self.entries, placed << SLOT_BITS | slot, start)
            kept += self.entries[start:stop]
            start = stop + 1
        by_member = dict(self._by_member)
        del by_member[member_id]
        slots = list(self.slots)
        slots[slot] = None
        return self._changed(by_member, slots, kept + self.entries[start:])

    def _changed(
        self,
        by_member: dict[str, tuple[int, int]],
        slots: list[str | None],
        entries: list[int],
    ) -> Self:
        other = object.__new__(type(self))
        other._vnodes = self._vnodes
        other._by_member = by_member
        other.slots = slots
        other.entries = entries
        return other

    def owner(self, position: int) -> str | None:
        """Return who owns *position*, None on an empty ring.

        Two members with the very same 64-bit token (chance 1 in 10**9 at 128,000 tokens) are told
        apart by the scheduler's tie-break; here the lower slot wins.
        """
        entries = self.entries
        if not entries:
            return None
        index = bisect_left(entries, position << SLOT_BITS)
        return self.slots[entries[index if index < len(entries) else 0] & SLOT_MASK]

    def walk(self, position: int) -> Iterator[tuple[int, int]]:
        """Yield ``(distance, slot)`` of every member once, clockwise from *position*."""
        entries = self.entries
        start = bisect_left(entries, position << SLOT_BITS)
        seen: set[int] = set()
        for index in range(start - len(entries), start):
            entry = entries[index]
            slot = entry & SLOT_MASK
            if slot not in seen:
                seen.add(slot)
                yield ((entry >> SLOT_BITS) - position) % CIRCLE, slot
                if len(seen) == len(self._by_member):
                    return


def _check_size(count: int) -> None:
    if count > RING_MEMBERS_MAX:
        raise ValueError(f"{count} members are too many for one ring of {RING_MEMBERS_MAX}")
