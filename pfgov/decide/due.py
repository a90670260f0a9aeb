"""What is due: follow-ups derived from the state, level-triggered, a bounded number at a time.

Nothing here is an event: each follow-up is an ordinary command of the engine's own principal, judged like any other
when it runs, so that a crash between two of them loses nothing.  ``due`` looks at the state, the leases and the clock
and names the commands that have something to do now.  What was tried to no effect is remembered in :class:`Memory`,
which is not state: losing it costs a second look, never a decision.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from operator import itemgetter

from pfgov import commands as c
from pfgov import events as e
from pfgov.lifecycle import OWNED, MemberStatus, PacketStatus
from pfgov.limits import FOLLOW_UPS_PER_TICK_MAX, MICRO
from pfgov.records import Member, Packet
from pfgov.state import State

RETRY_BASE = 1_000_000
RETRY_MAX = 300_000_000
"""A packet that nobody may own is looked at again after a change of the fleet, and after 1 s, 2 s, 4 s ... 300 s."""


PRUNE_FROM = 1_024
"""Remembered packets below which nothing is pruned."""


RELIEVED_PER_TICK = 4
"""Packets that one member under pressure loses in one tick."""


@dataclass(slots=True)
class Attempt:
    """The last look at a packet that led to nothing."""

    fleet: int
    freed: int
    retry_at: int
    wait: int


@dataclass(frozen=True, slots=True)
class LeaseView:
    """A lease as the engine saw it: wall times in microseconds."""

    incarnation: int
    last_seen: int
    ttl: int
    stretch: int = 0


@dataclass(slots=True)
class Memory:
    """What was tried: packet -> last attempt; packet -> what its owner (or pending target) was last judged against."""

    attempts: dict[str, Attempt] = field(default_factory=dict[str, Attempt])
    judged: dict[str, int] = field(default_factory=dict[str, int])
    offered: dict[str, int] = field(default_factory=dict[str, int])
    scanned: dict[str, int] = field(default_factory=dict[str, int])

    def prune(self, state: State) -> None:
        """Forget packets that ended, once they are the larger part."""
        for remembered in (self.attempts, self.judged, self.offered):
            if len(remembered) > 2 * len(state.packets) + PRUNE_FROM:
                for packet_id in [known for known in remembered if known not in state.packets]:
                    del remembered[packet_id]

    def note(self, state: State, action: c.Action, events: Sequence[e.Event], now: int) -> None:
        """Remember what *action*, a follow-up, came to: *events*, or nothing."""
        packet_id: str | None = getattr(action, "packet_id", None)
        if packet_id is None:
            return
        if isinstance(action, c.ReviewPacket | c.ExpireReview) and any(map(_not_granted, events)):
            # The answer was no: asking again at once would be pestering, until something changed.
            wait = state.settings.review_timeout
            self.attempts[packet_id] = Attempt(state.fleet, state.freed, now + wait, RETRY_MAX)
        elif isinstance(action, c.PlacePacket | c.HandOff) and not any(map(_moved, events)):
            before = self.attempts.get(packet_id)
            wait = RETRY_BASE if before is None else min(before.wait * 2, RETRY_MAX)
            self.attempts[packet_id] = Attempt(state.fleet, state.freed, now + wait, wait)
        elif events:
            self.attempts.pop(packet_id, None)


def _not_granted(event: e.Event) -> bool:
    return isinstance(event, e.ReviewExpired) or (
        isinstance(event, e.ReviewRecorded) and not event.granted
    )


def _moved(event: e.Event) -> bool:
    if isinstance(event, e.AssignmentDecision):
        return event.outcome == "allowed"
    return isinstance(event, e.HandoffCompleted | e.HandoffStarted | e.PacketFailed)


def due(
    state: State,
    memory: Memory,
    leases: Mapping[str, LeaseView],
    now: int,
    *,
    limit: int = FOLLOW_UPS_PER_TICK_MAX,
) -> list[c.Action]:
    """Return at most *limit* commands that have something to do at *now*, in a fixed order.

    Members first (their leases, drains and penalties), then owned packets in id order, then packets that wait, the
    higher priority first.
    """
    if state.configuration is None:
        return []
    memory.prune(state)
    every = chain(
        _leases(state, leases, now),
        _members(state, now),
        _owned(state, memory, now),
        _waiting(state, memory, now),
        _relieve(state, memory, now),
        _rebalance(state, now),
    )
    return list(islice(every, limit))


# --- members ------------------------------------------------------------------------------


def _leases(state: State, leases: Mapping[str, LeaseView], now: int) -> Iterator[c.Action]:
    overdue: list[c.Action] = []
    ending = leased = 0
    share, floor = state.settings.expiry_share_permille, state.settings.expiry_floor
    for member_id in sorted(leases):
        member, lease = state.members.get(member_id), leases[member_id]
        if member is None or member.incarnation != lease.incarnation or lease.ttl <= 0:
            continue
        if member.status not in _LEASED:
            continue
        leased += 1
        silence = now - lease.last_seen - lease.stretch
        is_over = silence >= lease.ttl
        is_late = silence * 1_000 >= lease.ttl * state.settings.suspect_permille
        if is_over or (is_late and member.status is MemberStatus.ACTIVE):
            ending += is_over
            overdue.append(
                c.ExpireLease(
                    member_id=member_id,
                    incarnation=lease.incarnation,
                    last_seen=lease.last_seen,
                    ttl=lease.ttl,
                    stretch=lease.stretch,
                )
            )
    if ending > floor and ending * 1_000 > leased * share:
        yield c.HaltExpiry(cause="mass_expiry", overdue=ending, leased=leased)
        return
    yield from overdue


_LEASED = frozenset(
    {MemberStatus.ACTIVE, MemberStatus.SUSPECT, MemberStatus.DRAINING, MemberStatus.QUARANTINED}
)


def _members(state: State, now: int) -> Iterator[c.Action]:
    for member in state.roster():
        trust = member.attested
        if trust is not None and trust.expires_at is not None and now >= trust.expires_at:
            yield c.ExpireTrust(member_id=member.member_id)
        if member.status is MemberStatus.DRAINING and member.active == 0:
            yield c.RetireMember(member_id=member.member_id)
        until = member.quarantine_until
        if member.status is MemberStatus.QUARANTINED and until is not None and now >= until:
            yield c.ReleaseMember(member_id=member.member_id)


# --- owned packets ------------------------------------------------------------------------


def _owned(state: State, memory: Memory, now: int) -> Iterator[c.Action]:
    """Look at packets that time may touch, and at all packets of members that changed since the last whole look."""
    looked_at: dict[str, int] = {}
    packets = set(state.watched)
    for member_id, owned in state.owned.items():
        member = state.members[member_id]
        since = max(member.changed, state.policy_since)
        if owned and (member.status not in _SETTLED or memory.scanned.get(member_id) != since):
            packets |= owned
            looked_at[member_id] = since
    for packet_id in sorted(packets):
        packet = state.packets[packet_id]
        if packet.owner is None or packet.status not in OWNED:
            continue
        yield from _for_owned(state, memory, packet, state.members[packet.owner], now)
    memory.scanned.update(looked_at)  # not reached when the tick's limit cut the look short


_SETTLED = frozenset({MemberStatus.ACTIVE, MemberStatus.SUSPECT, MemberStatus.QUARANTINED})


def _for_owned(
    state: State, memory: Memory, packet: Packet, owner: Member, now: int
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
    if is_changed:
        memory.judged[packet_id] = against
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
    elif owner.status is MemberStatus.DRAINING and _may_try(state, memory, packet, now):
        yield c.HandOff(packet_id=packet_id, reason="drain")
    elif reviewed and packet.request is None and _may_try(state, memory, packet, now):
        yield c.HandOff(packet_id=packet_id, reason="reviewed")


def takings(state: State, packet: Packet, now: int) -> list[c.Action]:
    """Return the follow-ups that may take something from *packet*'s owner or its pending target at *now*.

    Whatever was looked at before counts for nothing here.  Each has an effect only if ``decide`` says so.
    """
    if packet.owner is None or packet.status not in OWNED:
        return []
    owner = state.members[packet.owner]
    every = _for_owned(state, Memory(), packet, owner, now)
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


# --- packets that wait --------------------------------------------------------------------


def _waiting(state: State, memory: Memory, now: int) -> Iterator[c.Action]:
    """Look at every packet that waits, and put in order only those for which something is due: most wait for long."""
    found: list[tuple[int, str, c.Action]] = []
    attempts_max = state.settings.attempts_max
    for packet_id in state.unowned:
        packet = state.packets[packet_id]
        terms = packet.terms
        if (
            terms.deadline is not None and now >= terms.deadline
        ) or packet.attempts >= attempts_max:
            action: c.Action = c.ExpirePacket(packet_id=packet_id)
        elif packet.request is not None and now >= packet.request.expires_at:
            action = c.ExpireReview(packet_id=packet_id)
        elif not terms.hold and _may_try(state, memory, packet, now):
            action = c.PlacePacket(packet_id=packet_id)
        else:
            continue
        found.append((-terms.priority, packet_id, action))
    found.sort(key=itemgetter(0, 1))
    yield from (action for _, _, action in found)


def _may_try(state: State, memory: Memory, packet: Packet, now: int) -> bool:
    """Whether anything changed since the last look, or it is time for another one."""
    last = memory.attempts.get(packet.packet_id)
    if last is None:
        return True
    waits_for_room = packet.waiting is not None and packet.waiting.outcome == "no_capacity"
    return (
        last.fleet != state.fleet
        or (waits_for_room and last.freed != state.freed)
        or now >= last.retry_at
    )


# --- pressure and rebalancing --------------------------------------------------------------------------


def _relieve(state: State, memory: Memory, now: int) -> Iterator[c.Action]:
    """Take a few packets, the least urgent first, off each member that reports high pressure."""
    for member in state.roster():
        if not member.pressed or member.status is not MemberStatus.ACTIVE:
            continue
        moved: set[str] = set()
        for _ in range(RELIEVED_PER_TICK):
            packet_id = _movable(state, member.member_id, moved, now)
            if packet_id is None:
                break
            moved.add(packet_id)
            if _may_try(state, memory, state.packets[packet_id], now):
                yield c.HandOff(packet_id=packet_id, reason="pressure")


def _rebalance(state: State, now: int) -> Iterator[c.Action]:
    """Move a few packets from the fullest member to the emptiest while the gain is worth a move.

    Off while ``rebalance_budget`` is 0.  A packet that moved less than ``rebalance_cooldown`` ago stays, and a gain
    below ``rebalance_gain_permille`` moves nothing, so that the fleet comes to rest.
    """
    settings = state.settings
    fleet = [m for m in state.roster() if m.status is MemberStatus.ACTIVE]
    if not settings.rebalance_budget or len(fleet) < 2:
        return
    active = {m.member_id: m.active for m in fleet}
    moved: set[str] = set()
    for _ in range(settings.rebalance_budget):
        fullest = max(fleet, key=lambda m: (_fill(m, active[m.member_id]), m.member_id))
        emptiest = min(fleet, key=lambda m: (_fill(m, active[m.member_id]), m.member_id))
        ours, theirs = active[fullest.member_id], active[emptiest.member_id]
        gain = _fill(fullest, ours - 1) - _fill(emptiest, theirs + 1)
        whole = max(_fill(fullest, ours), 1)
        if gain <= 0 or gain * 1_000 < whole * settings.rebalance_gain_permille:
            return
        packet_id = _movable(state, fullest.member_id, moved, now)
        if packet_id is None:
            return
        moved.add(packet_id)
        active[fullest.member_id], active[emptiest.member_id] = ours - 1, theirs + 1
        yield c.HandOff(packet_id=packet_id, target=emptiest.member_id, reason="rebalance")


def _fill(member: Member, active: int) -> int:
    """Return how full *member* would be with *active* packets, in millionths of its share of the work."""
    tasks = member.capacity.get("tasks")
    share = tasks // MICRO if tasks else member.weight
    return active * MICRO // max(share, 1)


def _movable(state: State, member_id: str, moved: set[str], now: int) -> str | None:
    """Return the least urgent packet of *member_id* that may move now, the first by id among equals."""
    cooled = now - state.settings.rebalance_cooldown
    candidates = [
        (packet.terms.priority, packet_id)
        for packet_id in state.owned.get(member_id, ())
        if packet_id not in moved
        and (packet := state.packets[packet_id]).status is PacketStatus.ASSIGNED
        and packet.moved_at <= cooled
        and packet.terms.handoff.allowed
        and packet.waiting is None
    ]
    return min(candidates)[1] if candidates else None
