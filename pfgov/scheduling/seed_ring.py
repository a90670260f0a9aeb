"""The specification's ring exactly as printed: ``Token = MD5(Key) % 10000``.  For comparison only.

Kept so that the simulator can show what the printed formula does: with more virtual nodes than the
10,000 slots can hold, slots collide, one member takes each slot, and the others *starve* (571 of
1,000 members at 128 virtual nodes).  The specification does not say who wins a slot; here it is as
if members were added in order of their ids and the last one stayed.  Use
:mod:`pfgov.scheduling.ring` for work.

This module does not know weights or load.  MD5 is used as the specification prints it, not for
security.
"""

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from hashlib import md5
from typing import Final

from pfgov.core.scheduler import Candidate, Choice, Pairs, Request
from pfgov.scheduling.draws import select
from pfgov.scheduling.parameters import Parameter, Whole, settle

SLOTS: Final = 10_000
"""Positions on the printed ring."""

VNODES: Final = 5
"""Virtual nodes per member, as in the specification's simulator."""

_PARAMETERS: Final[tuple[Parameter, ...]] = (Whole("vnodes", VNODES, 1, 1_024),)


def slot(key: str) -> int:
    """Return ``MD5(key) % 10000``: the digest as one big-endian number."""
    return int.from_bytes(md5(key.encode(), usedforsecurity=False).digest(), "big") % SLOTS


@lru_cache(maxsize=16_384)
def _slots(member_id: str, vnodes: int) -> tuple[int, ...]:
    return tuple(slot(f"{member_id}-vnode-{index}") for index in range(vnodes))


@lru_cache(maxsize=16)
def ring(member_ids: tuple[str, ...], vnodes: int) -> dict[str, tuple[int, ...]]:
    """Return the slots that each member holds, sorted; a starved member holds none.

    Args:
        member_ids: The members, sorted by id.
        vnodes: Virtual nodes per member.
    """
    holders: dict[int, str] = {}
    for member_id in member_ids:
        for taken in _slots(member_id, vnodes):
            holders[taken] = member_id
    held: dict[str, list[int]] = {member_id: [] for member_id in member_ids}
    for taken in sorted(holders):
        held[holders[taken]].append(taken)
    return {member_id: tuple(slots) for member_id, slots in held.items()}


class SeedRing:
    """The holder of the first slot clockwise from the packet's; score = 10000 - distance.

    A starved member scores 0 and is chosen only when nobody else has room.

    Args:
        parameters: ``vnodes``, virtual nodes per member.

    Raises:
        BadParameterError: an unknown parameter, or a value out of range.
    """

    name = "seed-ring"
    version = "1"

    def __init__(self, parameters: Pairs = ()) -> None:
        settled = settle(self.name, _PARAMETERS, parameters)
        self.parameters: Pairs = tuple(settled.items())
        self._vnodes = int(settled["vnodes"])

    def scores(self, request: Request, candidates: Sequence[Candidate]) -> list[int]:
        """Return 10000 less the clockwise distance to each candidate's nearest slot."""
        held = ring(tuple(sorted([candidate.member_id for candidate in candidates])), self._vnodes)
        start = slot(request.packet_id)
        return [_nearness(held[candidate.member_id], start) for candidate in candidates]

    def choose(self, request: Request, candidates: Sequence[Candidate]) -> Choice | None:
        """Return the first member clockwise that has room."""
        return select(request, candidates, self.scores(request, candidates))


def _nearness(held: tuple[int, ...], start: int) -> int:
    if not held:
        return 0
    nearest = held[bisect_left(held, start) % len(held)]
    return SLOTS - (nearest - start) % SLOTS
