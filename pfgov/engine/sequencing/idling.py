"""Why a member that owns nothing is given nothing: what keeps it from the packets that wait, asked again for it alone.

Nothing is recorded and nobody else is judged.  A bounded number of packets is looked at, those with equal terms as one,
and all of it may take less of the processor than one decision: everybody else waits meanwhile.  Whose packets they
are, and what they hold, is not told: which rules keep the member from them, and what it lacks.
"""

from dataclasses import dataclass
from itertools import islice
from typing import Final

from pfgov.clock import processor_micros
from pfgov.core import commands as c
from pfgov.core.decide.context import Context
from pfgov.core.decide.judging import judge
from pfgov.core.decide.placement import with_kernel
from pfgov.core.records import Member, Packet
from pfgov.core.scheduler import Request
from pfgov.core.verdicts import Point, Verdict
from pfgov.engine.sequencing.deciding import Decider
from pfgov.errors import DecisionTooLongError
from pfgov.policy.judging.evaluator import look, watched

LOOKS: Final = 16
"""Verdicts that are taken for one answer."""

PACKETS: Final = 256
"""Packets that are looked at for one answer."""

LOOK_MICROS: Final = 20_000
"""What one answer may take of the processor; what has not been looked at by then is not told."""


@dataclass(frozen=True, slots=True)
class Idle:
    """What keeps a member from the packets that wait; a verdict for each of those that were looked at."""

    verdicts: tuple[Verdict, ...] = ()


def kept_from(decider: Decider, member: Member, now: int) -> Idle:
    """Return what keeps *member* from packets that wait for an owner at *now*."""
    end = processor_micros() + LOOK_MICROS

    def check() -> None:
        if processor_micros() > end:
            raise DecisionTooLongError("enough was looked at")

    found: list[Verdict] = []
    known: dict[object, Verdict] = {}
    packets = map(decider.state.packets.__getitem__, islice(decider.state.unowned, PACKETS))
    try:
        with watched(check):
            for packet in packets:
                if packet.terms.hold:
                    continue
                look()
                kind = _kind(packet)
                if kind not in known:
                    if len(known) >= LOOKS:
                        continue
                    known[kind] = _verdict(decider, packet, member, now)
                found.append(known[kind])
    except DecisionTooLongError:
        pass  # an answer about some is better than none, and the lease is renewed in any case
    return Idle(tuple(found))


def _kind(packet: Packet) -> object:
    """Return what is equal for packets of which a member hears the same."""
    if packet.reviews:
        return packet.packet_id
    return (packet.terms, packet.last_owner, packet.last_event)


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
