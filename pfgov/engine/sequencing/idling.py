"""Why a member that owns nothing is given nothing: what keeps it from the packets that wait, asked again for it alone.

Nothing is recorded and nobody else is judged.  A few packets are looked at, so that asking costs the others little.
Whose they are, and what they hold, is not told: which rules keep the member from them, and what it lacks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from pfgov.core import commands as c
from pfgov.core.decide.context import Context
from pfgov.core.decide.judging import judge
from pfgov.core.decide.placement import with_kernel
from pfgov.core.records import Member, Packet
from pfgov.core.scheduler import Request
from pfgov.core.verdicts import Point, Verdict
from pfgov.engine.sequencing.deciding import Decider

LOOKS: Final = 16
"""Packets that are looked at for one answer."""


@dataclass(frozen=True, slots=True)
class Idle:
    """What keeps a member from the packets that wait; a verdict for each of those that were looked at."""

    verdicts: tuple[Verdict, ...] = ()


def kept_from(decider: Decider, member: Member, now: int) -> Idle:
    """Return what keeps *member* from packets that wait for an owner at *now*."""
    waiting = islice(_waiting(decider), LOOKS)
    return Idle(tuple(_verdict(decider, packet, member, now) for packet in waiting))


def _waiting(decider: Decider) -> Iterator[Packet]:
    packets = map(decider.state.packets.__getitem__, decider.state.unowned)
    return (packet for packet in packets if not packet.terms.hold)


def _verdict(decider: Decider, packet: Packet, member: Member, now: int) -> Verdict:
    looks = c.PlacePacket(packet_id=packet.packet_id, target=member.member_id)
    command = c.Command(id="idle", principal=c.ENGINE, do=looks)
    ctx = Context(decider.state, command, now, decider.tools)
    last, terms = packet.last_owner, packet.terms
    source = None if last is None else decider.state.members.get(last.member_id)
    point = Point.ASSIGN if last is None else Point.HANDOFF
    reason = "" if last is None else packet.last_event
    judged = judge(ctx, packet, point, [member], source=source, reason=reason)
    request = Request(packet.packet_id, packet.epoch, terms.workload_type, dict(terms.demand))
    return with_kernel(ctx, request, judged, None).verdict(0)
