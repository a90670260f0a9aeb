"""Whether moving one packet from a member to another is worth it, and whom an offer goes to first.

Both narrow the members that policy and capacity let through, in integers, before a scheduler chooses among the rest.
This module knows neither policy nor schedulers.
"""

from collections.abc import Sequence
from typing import Final

from pfgov.core.records import Member, Packet
from pfgov.core.scheduler import TASKS
from pfgov.limits import MICRO

FILTERED_FIRST: Final = 4
"""The rules since which policy says who may take a packet before the balancer chooses among them, an offer that nobody
took goes to somebody else next, and who could not keep a packet does not get it."""


def fill(member: Member, active: int) -> int:
    """Return how full *member* would be with *active* packets, in millionths of its share of the work."""
    tasks = member.capacity.get(TASKS)
    share = tasks // MICRO if tasks else member.weight
    return active * MICRO // max(share, 1)


def is_worth_it(
    source: Member, target: Member, gain_permille: int, *, given: int = 0, taken: int = 0
) -> bool:
    """Whether one more packet at *target* and one less at *source* evens out enough.

    Args:
        source: Who has it.
        target: Who would get it.
        gain_permille: The least gain, of the source's load.
        given: Packets that *source* is about to lose already.
        taken: Packets that *target* is about to get already.
    """
    ours, theirs = source.active - given, target.active + taken
    gain = fill(source, ours - 1) - fill(target, theirs + 1)
    return gain > 0 and gain * 1_000 >= max(fill(source, ours), 1) * gain_permille


def emptiest(members: Sequence[Member]) -> list[Member]:
    """Return those of *members* that one more packet would fill least."""
    least = min(fill(member, member.active + 1) for member in members)
    return [member for member in members if fill(member, member.active + 1) == least]


def likeliest(packet: Packet, members: Sequence[Member]) -> list[Member]:
    """Return those of *members* to whom an offer of *packet* should go: whoever let the last one pass comes last.

    Before everybody else come members that let no offer pass since they last took one; then those whose silence is the
    oldest.  So each is asked once before anybody is asked again, however many sleep.
    """
    others = [member for member in members if member.member_id != packet.passed_by] or members
    oldest = min(member.silent_since for member in others)
    return [member for member in others if member.silent_since == oldest]


def unavoided(packet: Packet, members: Sequence[Member]) -> list[Member]:
    """Return those of *members* that did not give *packet* back for somebody else to try; else who did so first."""
    avoided = packet.avoided
    others = [member for member in members if member.member_id not in avoided]
    return others or sorted(members, key=lambda member: avoided.index(member.member_id))[:1]
