"""How long time has nothing to say: the next moment at which a tick may have something to do.

Whoever closes a ledger that nobody uses asks here when to look at it again.  A look too early costs little; one too
late would miss a deadline, so that whatever has no moment of its own counts as due now.  Changes are not thought of:
nothing changes a ledger that is closed.
"""

from collections.abc import Iterator, Mapping

from pfgov.core.decide.expiry import LEASED, LeaseView
from pfgov.core.decide.queue import Memory
from pfgov.core.decide.revocation import is_worked_on
from pfgov.core.lifecycle import MemberStatus, PacketStatus
from pfgov.core.records import Member, Packet
from pfgov.core.state import State


def next_due(
    state: State,
    memory: Memory,
    leases: Mapping[str, LeaseView],
    now: int,
    *,
    is_timed: bool = False,
) -> int | None:
    """Return the first moment after a tick at *now*, which found nothing to do, at which one may find something.

    *now* itself where that cannot be told; None where time alone never brings anything up.  The arguments are those of
    :func:`pfgov.core.decide.due.due`.
    """
    if state.configuration is None:
        return None
    if state.halt is not None:
        return now
    moments = (
        *_leases(state, leases),
        *_members(state, now),
        *_owned(state, memory, now, is_timed=is_timed),
        *_waiting(state, memory, now),
    )
    first = min(moments, default=None)
    return None if first is None else max(first, now)


def _leases(state: State, leases: Mapping[str, LeaseView]) -> Iterator[int]:
    """Yield when a member will be suspected, and when its lease will be over."""
    for member_id, lease in leases.items():
        member = state.members.get(member_id)
        if member is None or member.incarnation != lease.incarnation or lease.ttl <= 0:
            continue
        if member.status in LEASED:
            yield lease.end
        if member.status is MemberStatus.ACTIVE:
            late = -(-lease.ttl * state.settings.suspect_permille // 1_000)
            yield lease.last_seen + lease.stretch + late


def _members(state: State, now: int) -> Iterator[int]:
    """Yield when trust, a quarantine or a drain will end."""
    for member in state.roster():
        if member.attested is not None and member.attested.expires_at is not None:
            yield member.attested.expires_at
        if member.status is MemberStatus.QUARANTINED and member.quarantine_until is not None:
            yield member.quarantine_until
        if member.status is MemberStatus.DRAINING and member.drain is not None:
            if member.drain.deadline is not None and member.active:
                yield member.drain.deadline
            if not member.active and not member.drain.stays:
                yield now


def _owned(state: State, memory: Memory, now: int, *, is_timed: bool) -> Iterator[int]:
    """Yield when an owned packet will be looked at again."""
    is_evened = bool(state.settings.rebalance_budget)
    for member_id, owned in state.owned.items():
        owner = state.members[member_id]
        for packet_id in owned:
            packet = state.packets[packet_id]
            if is_timed:
                yield now
            yield from _of_owned(memory, packet, owner, now)
            if is_evened or owner.pressed:
                yield from _movable(state, memory, packet, now)


def _of_owned(memory: Memory, packet: Packet, owner: Member, now: int) -> Iterator[int]:
    if packet.terms.deadline is not None:
        yield packet.terms.deadline
    if packet.pending is not None:
        yield packet.pending.deadline
    if packet.request is not None:
        yield packet.request.expires_at
    if packet.terms.progress_seconds is not None and is_worked_on(packet):
        yield now  # what its owner said of progress is in memory alone
    is_reviewed = packet.waiting is not None and packet.waiting.outcome == "escalated"
    if owner.status is MemberStatus.DRAINING or (is_reviewed and packet.request is None):
        yield _tried(memory, packet, now)


def _movable(state: State, memory: Memory, packet: Packet, now: int) -> Iterator[int]:
    """Yield when a packet that may move will have stayed long enough to be asked about."""
    if packet.status is PacketStatus.ASSIGNED and packet.terms.handoff.allowed:
        cooled = packet.moved_at + state.settings.rebalance_cooldown
        attempt = memory.attempts.get(packet.packet_id)
        moment = max(cooled, attempt.retry_at if attempt is not None else cooled)
        if moment > now:  # what has stayed that long was asked about, and is not worth a move
            yield moment


def _waiting(state: State, memory: Memory, now: int) -> Iterator[int]:
    """Yield when a packet without an owner will be asked about again, or ends."""
    for packet_id in state.unowned:
        packet = state.packets[packet_id]
        if packet.terms.deadline is not None:
            yield packet.terms.deadline
        if packet.request is not None:
            yield packet.request.expires_at
        if not packet.terms.hold:
            yield _tried(memory, packet, now)


def _tried(memory: Memory, packet: Packet, now: int) -> int:
    """Return when *packet* may be tried again."""
    attempt = memory.attempts.get(packet.packet_id)
    return now if attempt is None else attempt.retry_at
