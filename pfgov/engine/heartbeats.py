"""A heartbeat: renew the lease, and tell the member what it no longer owns.

Nothing is recorded (volume); what a silence or its end leads to is.  A member that learns it has lost a packet stops
working on it; its writes would be refused anyway.  Only what is committed counts as lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from pfgov.clock import Clock
from pfgov.engine.sequencer import Sequencer
from pfgov.errors import ConflictError, NotFoundError
from pfgov.lifecycle import OWNED, MemberStatus
from pfgov.records import Packet
from pfgov.state import State


@dataclass(frozen=True, slots=True)
class Heard:
    """The answer to a heartbeat.

    Attributes:
        lost: The (packet, epoch) pairs that the member believed it held and does not.
        lease_until: When the lease ends, in microseconds since the epoch.
        was_suspect: Whether the heartbeat ends a suspicion.
    """

    lost: tuple[tuple[str, int], ...]
    lease_until: int
    was_suspect: bool


class GoneError(ConflictError):
    """That life of the member is over; it must recover or register again."""

    code = "member.gone"


def hear(
    sequencer: Sequencer,
    clock: Clock,
    member_id: str,
    incarnation: int,
    held: Sequence[tuple[str, int]],
) -> Heard:
    """Renew the lease of *member_id* in its life *incarnation*.

    Raises:
        NotFoundError: no such member.
        GoneError: ``member.gone`` or ``member.incarnation``, that life is over.
    """
    state = sequencer.state
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
    now = max(clock.now(), state.time)
    sequencer.leases.heard(member, now, state.settings.lease_seconds)
    lease = sequencer.leases.view()[member_id]
    lost = tuple(
        (packet_id, epoch)
        for packet_id, epoch in held
        if not _holds(state.packets.get(packet_id), member_id, incarnation, epoch)
        and not _holds(_committed(sequencer, state, packet_id), member_id, incarnation, epoch)
    )
    return Heard(lost, lease.last_seen + lease.ttl, member.status is MemberStatus.SUSPECT)


def _holds(packet: Packet | None, member_id: str, incarnation: int, epoch: int) -> bool:
    return (
        packet is not None
        and packet.status in OWNED
        and (packet.owner, packet.incarnation, packet.epoch) == (member_id, incarnation, epoch)
    )


def _committed(sequencer: Sequencer, state: State, packet_id: str) -> Packet | None:
    """Return the packet as it is in the store, if the memory may be ahead of it."""
    if sequencer.is_settled:
        return state.packets.get(packet_id)
    row = sequencer.queries.packet(packet_id)
    return None if row is None else msgspec.json.decode(row.body, type=Packet)
