"""Room that is certain: what every member has left at least, by dimension, so that most packets need not ask each.

The least is kept as packets are given out, which only lowers it, and taken anew after a change of the fleet or once
much was freed.  In between it may be too low, never too high: :func:`~pfgov.core.scheduler.fits` on every member is
what it stands for, and is asked wherever it does not suffice.  This module knows neither policies nor who is eligible.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pfgov.core.records import Member, Terms
from pfgov.core.scheduler import TASKS
from pfgov.limits import MICRO

FREED_MIN: Final = 8
"""Packets that must have been given back, beside one for every eighth member, before the least is taken anew."""


@dataclass(slots=True)
class CertainRoom:
    """What every one of some members has left at least.

    Attributes:
        least: By dimension that one of them bounds, in micro-units; of ``tasks`` what is left by count, too.
        is_pressed: Whether one of them takes nothing new.
        freed: The count of packets given back when this was taken.
        members: How many they are.
    """

    least: dict[str, int]
    is_pressed: bool
    freed: int
    members: int

    def suffices(self, demand: Mapping[str, int]) -> bool:
        """Whether each of them has room for *demand* and one packet more."""
        if self.is_pressed:
            return False
        for name, room in self.least.items():
            wanted = demand.get(name, 0)
            if (max(wanted, MICRO) if name == TASKS else wanted) > room:
                return False
        return True

    def given(self, member: Member, terms: Terms) -> None:
        """Note that *member* holds a packet of *terms* more."""
        least, capacity = self.least, member.capacity
        if TASKS in capacity:
            least[TASKS] = min(least[TASKS], _left(member, TASKS))
        for name, _ in terms.demand:
            if name in capacity:
                least[name] = min(least[name], _left(member, name))

    def is_stale(self, freed: int) -> bool:
        """Whether so much was given back since that taking it anew may pay."""
        return freed - self.freed > FREED_MIN + self.members // 8


def certain_room(members: Iterable[Member], freed: int) -> CertainRoom:
    """Return what every one of *members* has left at least, after *freed* packets were given back."""
    found = CertainRoom({}, is_pressed=False, freed=freed, members=0)
    least = found.least
    for member in members:
        found.members += 1
        found.is_pressed = found.is_pressed or member.pressed
        for name in member.capacity:
            room = _left(member, name)
            if name not in least or room < least[name]:
                least[name] = room
    return found


def _left(member: Member, name: str) -> int:
    limit = member.capacity[name]
    left = limit - member.used.get(name, 0)
    return min(left, limit - member.active * MICRO) if name == TASKS else left
