"""What a packet would leave free on a member, in exact integers.

The one place that knows what "free" means for bin packing; the pools, which compute the same for
many members at once, are held to it by property tests.  This module ranks nobody.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from pfgov.core.scheduler import MICRO, TASKS, Candidate, Request


def compared_dimensions(request: Request, always: AbstractSet[str]) -> list[str]:
    """Return the dimensions that are compared for *request*: *always* and those it asks for."""
    asked = {dimension for dimension, amount in request.demand.items() if amount > 0}
    return sorted(always | asked)


def taken(request: Request, dimension: str) -> int:
    """Return what the packet takes in micro-units; of ``tasks`` always one."""
    return MICRO if dimension == TASKS else request.demand.get(dimension, 0)


def free_now(candidate: Candidate, dimension: str) -> int | None:
    """Return what is free in micro-units, negative when over the limit; None when unlimited."""
    limit = candidate.capacity.get(dimension)
    if limit is None:
        return None
    if dimension == TASKS:
        return limit - candidate.active * MICRO
    return limit - candidate.used.get(dimension, 0)


def shares_after(candidate: Candidate, compared: Sequence[tuple[str, int]]) -> list[int] | None:
    """Return the free share in every compared dimension once the packet is placed.

    A share is ``(free - demand) * 10**6 // capacity``: 10**6 where the member is unlimited, 0 where
    its capacity is 0 and nothing is asked.  None when a compared dimension has no room.

    Args:
        candidate: The member.
        compared: Dimensions and what the packet takes of each (:func:`taken`).
    """
    capacity, used = candidate.capacity, candidate.used
    shares: list[int] = []
    for dimension, demand in compared:
        limit = capacity.get(dimension)
        if limit is None:
            shares.append(MICRO)
            continue
        held = candidate.active * MICRO if dimension == TASKS else used.get(dimension, 0)
        left = limit - held - demand
        if left < 0:
            return None
        shares.append(left * MICRO // (limit or 1))
    return shares
