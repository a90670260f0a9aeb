"""Moves that even the load out: off members under pressure, and from the fullest to emptier ones.

Both may as well not happen.  Which member takes a packet is for policy and the balancer to say when the command runs;
here is only whose packets are worth asking about, least urgent first.  One that nobody could take is not asked about
again until something changed, and keeps nobody else's from being asked about.
"""

from collections.abc import Iterator

from pfgov.core import commands as c
from pfgov.core.decide.balance import FILTERED_FIRST, fill, is_worth_it
from pfgov.core.decide.handoff import RELIEVED_PER_REPORT
from pfgov.core.decide.placement import BALANCING
from pfgov.core.decide.queue import Memory
from pfgov.core.lifecycle import MemberStatus, PacketStatus
from pfgov.core.records import Member
from pfgov.core.state import State


def relieve(state: State, memory: Memory, now: int) -> Iterator[c.Action]:
    """Take a few packets, the least urgent first, off each member that reports high pressure: one step a report."""
    for member in state.roster():
        if not member.pressed or member.status is not MemberStatus.ACTIVE:
            continue
        left = RELIEVED_PER_REPORT - member.relieved
        if left > 0:
            for packet_id in _movable(state, memory, member.member_id, now)[:left]:
                yield c.HandOff(packet_id=packet_id, reason="pressure")


def rebalance(state: State, memory: Memory, now: int) -> Iterator[c.Action]:
    """Ask about a few packets of the fullest members while the emptiest is emptier by enough.

    Off while ``rebalance_budget`` is 0.  A packet that moved less than ``rebalance_cooldown`` ago stays, and a gain
    below ``rebalance_gain_permille`` moves nothing, so that the fleet comes to rest.
    """
    settings = state.settings
    fleet = [m for m in state.roster() if m.status is MemberStatus.ACTIVE]
    if not settings.rebalance_budget or len(fleet) < 2:
        return
    least = settings.rebalance_gain_permille
    emptiest = min(fleet, key=lambda m: (fill(m, m.active), m.member_id))
    left, taken = settings.rebalance_budget, 0
    for member in sorted(fleet, key=lambda m: (-fill(m, m.active), m.member_id)):
        given = 0
        if not is_worth_it(member, emptiest, least, taken=taken):
            return
        for packet_id in _movable(state, memory, member.member_id, now):
            if not left or not is_worth_it(member, emptiest, least, given=given, taken=taken):
                break
            left, given, taken = left - 1, given + 1, taken + 1
            yield _balancing(state, packet_id, emptiest)
        if not left:
            return


def _balancing(state: State, packet_id: str, emptiest: Member) -> c.HandOff:
    """Return the handoff; under older rules the target was named before policy was asked."""
    target = None if state.semantics >= FILTERED_FIRST else emptiest.member_id
    return c.HandOff(packet_id=packet_id, target=target, reason=BALANCING)


def _movable(state: State, memory: Memory, member_id: str, now: int) -> list[str]:
    """Return the packets of *member_id* that may move now and are worth asking about, the least urgent first."""
    cooled = now - state.settings.rebalance_cooldown
    candidates = [
        (packet.terms.priority, packet_id)
        for packet_id in state.owned.get(member_id, ())
        if (packet := state.packets[packet_id]).status is PacketStatus.ASSIGNED
        and packet.moved_at <= cooled
        and packet.terms.handoff.allowed
        and packet.request is None
        and memory.may_try(state, packet, now)
    ]
    return [packet_id for _, packet_id in sorted(candidates)]
