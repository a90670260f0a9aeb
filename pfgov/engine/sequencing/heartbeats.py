"""A heartbeat: renew the lease of one process, and tell the member what it no longer owns and what it does.

Nothing is recorded (volume); what a silence or its end leads to is.  A member that learns it has lost a packet stops
working on it; its writes would be refused anyway.  Only what is committed counts as lost.

A member that owns a packet is also told for how long it must not begin, because who had it before may be at work still
(:mod:`pfgov.engine.sequencing.former_owners`).

A process that draws a session for itself is the only one that lives by the lease until it leaves or the lease is over:
two processes that are started under one id would otherwise both do the member's work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from pfgov.core import commands as c
from pfgov.core.lifecycle import OWNED, MemberStatus
from pfgov.core.records import Member, Packet
from pfgov.core.state import State
from pfgov.engine.answers import LOCAL, Caller
from pfgov.engine.loading.intact import RowDecoder
from pfgov.engine.sequencing.idling import Idle, kept_from
from pfgov.engine.sequencing.sequencer import Sequencer
from pfgov.errors import ConflictError, NotFoundError
from pfgov.limits import MICRO

_PACKET: Final = RowDecoder(Packet, "the row of a packet")

UNNAMED_MAX: Final = 100
"""Packets that one answer names besides those that the member named; the next heartbeat names the rest."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a member says.

    Attributes:
        incarnation: In which life it is.
        held: The (packet, epoch) pairs that it believes it owns.
        progressed: Those of them in which the work went on.
        session: The name of the process, drawn by itself.
        counts_by: The length of the lease that it counts by, in seconds; a shorter one begins when it says that.
        takes_over: Whether a process that lives by the lease is to go.
        leaves: Whether this process goes, and owns nothing more.
        asks_why: Whether it wants to know what keeps it from the packets that wait.
        knows: Up to which position what it holds accounts for; every packet it had and does not name is put down.
        by: Whose key says it, and whether that may still.
    """

    incarnation: int
    held: Sequence[tuple[str, int]] = ()
    progressed: Sequence[tuple[str, int]] = ()
    session: str | None = None
    counts_by: int | None = None
    takes_over: bool = False
    leaves: bool = False
    asks_why: bool = False
    knows: int | None = None
    by: Caller = LOCAL


@dataclass(frozen=True, slots=True)
class HeartbeatResult:
    """The answer to a heartbeat.

    Attributes:
        lost: The (packet, epoch) pairs that the member believed it held and does not.
        unnamed: Packets, with their epochs, that it owns and did not name.
        held_back: Those that it named and owns and must not begin yet: (packet, epoch, for how many seconds at most).
        lease_until: When the lease ends, in microseconds since the epoch.
        lease_seconds: How long it lasts from one heartbeat on.
        status: Where the member stands.
        was_suspect: Whether the heartbeat ends a suspicion.
        actions: What is to be recorded of it.
        idle: What keeps the member from the packets that wait, where it asked.
        is_over: Whether this life ends with them, because the process that lived it must have stopped: ask again.
    """

    lost: tuple[tuple[str, int], ...] = ()
    unnamed: tuple[tuple[str, int], ...] = ()
    held_back: tuple[tuple[str, int, int], ...] = ()
    lease_until: int = 0
    lease_seconds: int = 0
    status: MemberStatus = MemberStatus.ACTIVE
    was_suspect: bool = False
    actions: tuple[c.Action, ...] = ()
    idle: Idle | None = None
    is_over: bool = False


class GoneError(ConflictError):
    """That life of the member is over; it must recover or register again."""

    code = "member.gone"


class InUseError(ConflictError):
    """Another process lives by the member's lease."""

    code = "member.in_use"


class TakenOverError(ConflictError):
    """Another process waits to be this member: stop everything, say so with ``leaves``, and end."""

    code = "member.taken_over"


def hear(sequencer: Sequencer, member_id: str, beat: Heartbeat) -> HeartbeatResult:
    """Renew the lease of *member_id*.

    Raises:
        NotFoundError: no such member.
        GoneError: ``member.gone`` or ``member.incarnation``, that life is over.
        InUseError: another process lives it.
        TakenOverError: another process is to live it.
        GrantEndedError: whoever says it lost its rights while it waited for its turn.
    """
    beat.by.require_rights()
    state, leases = sequencer.state, sequencer.leases
    if beat.leaves:
        leases.former.left(member_id, beat.incarnation, beat.session)
    member = _living(state, member_id, beat.incarnation)
    now = sequencer.now()
    if beat.leaves:
        _leave(sequencer, member, beat, now)
    elif _is_over(sequencer, member, beat, now):
        reason = "its process was silent for a lease"
        ends = c.FailMember(member_id=member_id, reason=reason)
        return HeartbeatResult(actions=(ends,), is_over=True)
    else:
        leases.heard(member, now, state.settings.lease_seconds, counts_by=beat.counts_by)
        if beat.session is not None and leases.session(member) is None:
            sequencer.drain()
            leases.bind(member, beat.session, sequencer.committer.save_leases, now)
        if beat.session is not None:
            leases.former.heard(member, beat.session, beat.held, knows=beat.knows, size=state.size)
        for packet_id, epoch in beat.progressed:
            packet = state.packets.get(packet_id)
            if packet is not None and _holds(packet, member, epoch):
                leases.progress.note(packet, now)
    lease = leases.view().get(member_id)
    named = set(beat.held)
    was_suspect = member.status is MemberStatus.SUSPECT and not beat.leaves
    seen = c.SawHeartbeat(member_id=member_id, incarnation=beat.incarnation)
    return HeartbeatResult(
        lost=_lost(sequencer, state, member, beat.held),
        held_back=_held_back(sequencer, state, member, beat.held),
        unnamed=_unnamed(state, member, named),
        lease_until=now if lease is None else lease.last_seen + lease.ttl,
        lease_seconds=member.lease_seconds or state.settings.lease_seconds,
        status=member.status,
        was_suspect=was_suspect,
        actions=(seen,) if was_suspect else (),
        idle=kept_from(sequencer.decider, member, now) if beat.asks_why else None,
    )


def _living(state: State, member_id: str, incarnation: int) -> Member:
    member = state.members.get(member_id)
    if member is None:
        raise NotFoundError(
            f"there is no member {member_id}",
            code="member.not_found",
            hint="register first: pfgov member register",
        )
    if member.incarnation != incarnation:
        raise GoneError(
            f"member {member_id} is in its life number {member.incarnation}, not {incarnation}",
            code="member.incarnation",
            hint="stop what the earlier life was doing; it owns nothing",
        )
    if member.status in {MemberStatus.FAILED, MemberStatus.RETIRED}:
        raise GoneError(
            f"member {member_id} is {member.status}",
            hint="come back with: pfgov member recover, or register again",
        )
    return member


def _is_over(sequencer: Sequencer, member: Member, beat: Heartbeat, now: int) -> bool:
    """Whether the process that lived this life must have stopped; only one that lives it, or the first, goes on."""
    session = sequencer.leases.session(member)
    if session is None:
        return False
    if session.name == beat.session:
        if session.must_go:
            raise TakenOverError(
                f"another process takes {member.member_id} over",
                hint="stop its work, say so with a heartbeat that leaves, and end",
            )
        return False
    lease = sequencer.leases.view().get(member.member_id)
    left = 0 if lease is None else max(lease.end - now, 0)
    if left == 0 and beat.session is not None:
        return True
    session.must_go |= beat.takes_over
    raise InUseError(
        f"another process lives as {member.member_id}; its lease lasts {-(-left // MICRO)} seconds more",
        hint="ask again then; it was told to go"
        if session.must_go
        else "stop it; or start this one with take_over: it begins when the other has stopped",
    )


def _leave(sequencer: Sequencer, member: Member, beat: Heartbeat, now: int) -> None:
    session = sequencer.leases.session(member)
    if session is None or session.name != beat.session:
        return  # it was never bound, or is not any more: there is nothing to give up
    sequencer.drain()
    drain = member.drain
    is_idle = drain is not None and drain.stays and member.active == 0
    sequencer.leases.unbind(member, sequencer.committer.save_leases, now, is_idle=is_idle)


def _unnamed(
    state: State, member: Member, named: set[tuple[str, int]]
) -> tuple[tuple[str, int], ...]:
    owned = sorted(state.owned.get(member.member_id, ()))
    found = ((packet_id, state.packets[packet_id]) for packet_id in owned)
    return tuple(
        islice(
            (
                (packet_id, packet.epoch)
                for packet_id, packet in found
                if packet.incarnation == member.incarnation
                and (packet_id, packet.epoch) not in named
            ),
            UNNAMED_MAX,
        )
    )


def _lost(
    sequencer: Sequencer, state: State, member: Member, held: Sequence[tuple[str, int]]
) -> tuple[tuple[str, int], ...]:
    found: list[tuple[str, int]] = []
    for packet_id, epoch in held:
        if _holds(state.packets.get(packet_id), member, epoch):
            continue
        if _holds(_committed(sequencer, state, packet_id), member, epoch):
            sequencer.leases.former.goes_on(member, packet_id)
        else:
            found.append((packet_id, epoch))
    return tuple(found)


def _held_back(
    sequencer: Sequencer, state: State, member: Member, held: Sequence[tuple[str, int]]
) -> tuple[tuple[str, int, int], ...]:
    former = sequencer.leases.former
    owned = (one for one in held if _holds(state.packets.get(one[0]), member, one[1]))
    waits = ((packet_id, epoch, former.hold_back(packet_id, epoch)) for packet_id, epoch in owned)
    return tuple(
        (packet_id, epoch, -(-left // MICRO)) for packet_id, epoch, left in waits if left > 0
    )


def _holds(packet: Packet | None, member: Member, epoch: int) -> bool:
    return (
        packet is not None
        and packet.status in OWNED
        and (packet.owner, packet.incarnation) == (member.member_id, member.incarnation)
        and packet.epoch == epoch
    )


def _committed(sequencer: Sequencer, state: State, packet_id: str) -> Packet | None:
    """Return the packet as it is in the store, if the memory may be ahead of it."""
    if sequencer.is_settled:
        return state.packets.get(packet_id)
    row = sequencer.queries.packet(packet_id)
    return None if row is None else _PACKET.decode(row.body)
