"""What is due: follow-ups derived from the state, level-triggered, a bounded number at a time.

Nothing here is an event: each follow-up is an ordinary command of the engine's own principal, judged like any other
when it runs, so that a crash between two of them loses nothing.  ``due`` looks at the state, the leases and the clock
and names the commands that have something to do now.  What was tried to no effect is remembered in :class:`Memory`,
which is not state: losing it costs a second look, never a decision.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import chain, islice, zip_longest
from typing import Final

from pfgov.core import commands as c
from pfgov.core.decide.evening import rebalance, relieve
from pfgov.core.decide.expiry import LeaseView, expiries
from pfgov.core.decide.queue import Memory, waiting
from pfgov.core.decide.revocation import is_worked_on
from pfgov.core.lifecycle import OWNED, MemberStatus
from pfgov.core.records import Member, Packet
from pfgov.core.state import State
from pfgov.limits import FOLLOW_UPS_PER_TICK_MAX, MICRO


def due(
    state: State,
    memory: Memory,
    leases: Mapping[str, LeaseView],
    now: int,
    *,
    limit: int = FOLLOW_UPS_PER_TICK_MAX,
    is_timed: bool = False,
) -> list[c.Action]:
    """Return at most *limit* commands that have something to do at *now*, in a fixed order.

    Members first (their leases, drains and penalties); then, in turn, owned packets, which their owners may have to
    lose, and packets that wait; then owned packets that may move.  None of the four can keep the others from being
    looked at, and a look that is cut short goes on where it stopped.  With *is_timed* a rule at ``retain`` reads the
    time, so that every owner is judged again as time passes.
    """
    if state.configuration is None:
        return []
    memory.prune(state)
    if state.halt is not None:
        memory.progress.since = now  # whoever may be unheard is not held to have stood still
    moves: list[c.Action] = []
    fleet = list(
        islice(chain(expiries(state, memory, leases, now), _members(state, now)), limit // 2)
    )
    work = _in_turn(
        _owned(state, memory, leases, now, moves, is_timed=is_timed), waiting(state, memory, now)
    )
    first = [*fleet, *islice(work, max(limit - len(fleet) - limit // MOVES_SHARE, 0))]
    rest = chain(moves, relieve(state, memory, now), rebalance(state, memory, now))
    return [*first, *islice(rest, limit - len(first))]


MOVES_SHARE: Final = 4
"""One part in so many of the follow-ups of a tick is kept for moves of owned packets."""


def _in_turn(one: Iterator[c.Action], other: Iterator[c.Action]) -> Iterator[c.Action]:
    """Yield from both, one at a time each, until both are at their end."""
    for pair in zip_longest(one, other):
        yield from (action for action in pair if action is not None)


# --- members ------------------------------------------------------------------------------


def _members(state: State, now: int) -> Iterator[c.Action]:
    for member in state.roster():
        trust = member.attested
        if trust is not None and trust.expires_at is not None and now >= trust.expires_at:
            yield c.ExpireTrust(member_id=member.member_id)
        stays = member.drain is not None and member.drain.stays
        if member.status is MemberStatus.DRAINING and member.active == 0 and not stays:
            yield c.RetireMember(member_id=member.member_id)
        until = member.quarantine_until
        if member.status is MemberStatus.QUARANTINED and until is not None and now >= until:
            yield c.ReleaseMember(member_id=member.member_id)


# --- owned packets ------------------------------------------------------------------------


def _owned(
    state: State,
    memory: Memory,
    leases: Mapping[str, LeaseView],
    now: int,
    moves: list[c.Action],
    *,
    is_timed: bool,
) -> Iterator[c.Action]:
    """Look at packets that time may touch, and at all packets of members that changed since the last whole look.

    What would move a packet is put into *moves*; what takes something from its owner, or ends something, comes first.
    """
    looked_at: dict[str, int] = {}
    packets = set(state.watched)
    if is_timed:
        late = now - _between_looks(state)
        every = (packet_id for owned in state.owned.values() for packet_id in owned)
        packets.update(one for one in every if memory.retained.get(one, 0) <= late)
    for member_id, owned in state.owned.items():
        member = state.members[member_id]
        since = max(member.changed, state.policy_since)
        if owned and (member.status not in _SETTLED or memory.scanned.get(member_id) != since):
            packets |= owned
            looked_at[member_id] = since
    order = sorted(packets)
    start = bisect_right(order, memory.owned_from)
    for packet_id in (*order[start:], *order[:start]):
        memory.owned_from = packet_id
        packet = state.packets[packet_id]
        if packet.owner is None or packet.status not in OWNED:
            continue
        owner = state.members[packet.owner]
        stall = _stall(memory, leases, packet, now)
        if stall is not None:
            yield stall
        for action in _for_owned(state, memory, packet, owner, now, is_timed=is_timed):
            if isinstance(action, c.HandOff):
                moves.append(action)
            else:
                yield action
    memory.owned_from = ""
    memory.scanned.update(looked_at)  # not reached when the tick's limit cut the look short


_SETTLED = frozenset({MemberStatus.ACTIVE, MemberStatus.SUSPECT, MemberStatus.QUARANTINED})


def _between_looks(state: State) -> int:
    """Return after how long an owner is judged again: a little early, so that a long look ends in time."""
    return state.settings.retain_interval * 3 // 4


def _for_owned(
    state: State, memory: Memory, packet: Packet, owner: Member, now: int, *, is_timed: bool
) -> Iterator[c.Action]:
    packet_id, epoch = packet.packet_id, packet.epoch
    dead = owner.status in {MemberStatus.FAILED, MemberStatus.RETIRED}
    if dead or owner.incarnation != packet.incarnation or _past_drain(owner, now):
        yield c.RevokeOwner(packet_id=packet_id, epoch=epoch)
        return
    if packet.terms.deadline is not None and now >= packet.terms.deadline:
        yield c.ExpirePacket(packet_id=packet_id)
        return
    against = max(owner.changed, state.policy_since, packet.terms_since)
    is_changed = against > packet.judged and memory.judged.get(packet_id) != against
    if is_timed and now - memory.retained.get(packet_id, 0) >= _between_looks(state):
        is_changed = True
    if is_changed:
        memory.judged[packet_id] = against
        if is_timed:
            memory.retained[packet_id] = now
        yield c.RejudgeOwner(packet_id=packet_id, epoch=epoch)
    if (
        packet.pending is not None
    ):  # after the owner: whoever keeps starting handoffs is judged, too
        yield from _for_pending(state, memory, packet, now)
    elif not is_changed:
        yield from _for_settled(state, memory, packet, owner, now)


def _for_settled(
    state: State, memory: Memory, packet: Packet, owner: Member, now: int
) -> Iterator[c.Action]:
    packet_id = packet.packet_id
    reviewed = packet.waiting is not None and packet.waiting.outcome == "escalated"
    if packet.request is not None and now >= packet.request.expires_at:
        yield c.ExpireReview(packet_id=packet_id)
    elif owner.status is MemberStatus.DRAINING and memory.may_try(state, packet, now):
        yield c.HandOff(packet_id=packet_id, reason="drain")
    elif reviewed and packet.request is None and memory.may_try(state, packet, now):
        yield c.HandOff(packet_id=packet_id, reason="reviewed")


def _stall(
    memory: Memory, leases: Mapping[str, LeaseView], packet: Packet, now: int
) -> c.StallOwner | None:
    """Return the follow-up for an owner that stood still with *packet* for as long as that allows, if it did.

    A member with a lease says so itself: by a heartbeat, so long after its last progress, that tells of none.  One that
    is not heard may be at work, and cannot be told to stop; its lease ends that.
    """
    bound = packet.terms.progress_seconds
    if bound is None or not is_worked_on(packet):
        return None
    lease = leases.get(packet.owner or "")
    heard_at = None if lease is None else lease.last_seen
    said = memory.progress.of(packet)
    since = max(packet.progressed_at, said)
    if (now if heard_at is None else heard_at) - since < bound * MICRO:
        return None
    return c.StallOwner(
        packet_id=packet.packet_id,
        epoch=packet.epoch,
        progressed_at=said,
        heard_at=heard_at,
    )


def takings(state: State, packet: Packet, now: int, *, is_timed: bool = False) -> list[c.Action]:
    """Return the follow-ups that may take something from *packet*'s owner or its pending target at *now*.

    Whatever was looked at before counts for nothing here.  Each has an effect only if ``decide`` says so.
    """
    if packet.owner is None or packet.status not in OWNED:
        return []
    owner = state.members[packet.owner]
    every = _for_owned(state, Memory(), packet, owner, now, is_timed=is_timed)
    return [action for action in every if isinstance(action, _TAKINGS)]


_TAKINGS = (c.RevokeOwner, c.ExpirePacket, c.RejudgeOwner, c.AbortHandoff)


def _past_drain(owner: Member, now: int) -> bool:
    drain = owner.drain
    if owner.status is not MemberStatus.DRAINING or drain is None:
        return False
    return drain.mode == "stop_first" or (drain.deadline is not None and now >= drain.deadline)


def _for_pending(state: State, memory: Memory, packet: Packet, now: int) -> Iterator[c.Action]:
    pending, packet_id = packet.pending, packet.packet_id
    if pending is None:
        return
    target = state.members[pending.target]
    against = max(target.changed, state.policy_since, packet.terms_since)
    if target.status is not MemberStatus.ACTIVE or target.incarnation != pending.incarnation:
        yield c.AbortHandoff(packet_id=packet_id, cause="target_failed")
    elif now >= pending.deadline:
        yield c.AbortHandoff(packet_id=packet_id, cause="timeout")
    elif against > pending.position and memory.offered.get(packet_id) != against:
        memory.offered[packet_id] = against
        yield c.AbortHandoff(packet_id=packet_id, cause="policy")
