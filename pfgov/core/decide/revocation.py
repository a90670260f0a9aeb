"""Rules that take something from an owner: the packet, or a part of what it may read.

They run as follow-ups, when the owner, its packet or the policy set changed.  No line here gives anything to anybody:
a packet that was taken away is placed again by :mod:`pfgov.core.decide.handoff`.
"""

from collections.abc import Sequence
from typing import Final

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide.context import Context, Decided
from pfgov.core.decide.grants import lapsed_for_owner
from pfgov.core.decide.handoff import aborted
from pfgov.core.decide.judging import judge
from pfgov.core.decide.placement import view_for, withheld
from pfgov.core.lifecycle import OWNED, MemberStatus, PacketStatus
from pfgov.core.records import Packet
from pfgov.core.verdicts import Point
from pfgov.limits import MICRO, REASONS_MAX

REVIEW_LAPSED: Final = "pfgov:review_lapsed"
"""The reserved reason of an owner that holds a packet under a review of other facts."""


def revoke(ctx: Context, do: c.RevokeOwner) -> Decided:
    """Take a packet from an owner that is dead, in another life, or past its drain's deadline."""
    ctx.authorise(do)
    packet = ctx.packet(do.packet_id)
    holder = packet.holder
    if holder is None or packet.epoch != do.epoch or packet.status not in OWNED:
        return Decided([])
    member = ctx.state.members[holder.member_id]
    drain = member.drain
    if member.incarnation != holder.incarnation or member.status is MemberStatus.RETIRED:
        cause = "member_gone"
    elif member.status is MemberStatus.FAILED:
        cause = "member_failed"
    elif drain is not None and drain.deadline is not None and ctx.now >= drain.deadline:
        cause = "drain_deadline"
    elif drain is not None and drain.mode == "stop_first":
        cause = "drain"
    else:
        return Decided([])
    return Decided([_revoked(packet, holder, cause)])


def _revoked(
    packet: Packet, holder: e.Owner, cause: str, reasons: tuple[str, ...] = ()
) -> e.OwnershipRevoked:
    return e.OwnershipRevoked(
        packet_id=packet.packet_id,
        epoch=packet.epoch + 1,
        owner=holder,
        cause=cause,  # type: ignore[arg-type]  # the literals are checked by the schema test
        reasons=reasons,
    )


def stall(ctx: Context, do: c.StallOwner) -> Decided:
    """Put a packet back whose owner made no progress for as long as the packet allows; others get it first."""
    ctx.authorise(do)
    packet = ctx.packet(do.packet_id)
    holder, bound = packet.holder, packet.terms.progress_seconds
    if holder is None or bound is None or packet.epoch != do.epoch or not is_worked_on(packet):
        return Decided([])
    heard_at = ctx.now if do.heard_at is None else do.heard_at
    if min(heard_at, ctx.now) - max(packet.progressed_at, do.progressed_at) < bound * MICRO:
        return Decided([])
    return Decided(
        [
            e.PacketRequeued(
                packet_id=packet.packet_id,
                epoch=packet.epoch + 1,
                owner=holder,
                reason=e.NO_PROGRESS,
                elsewhere=True,
            )
        ]
    )


def is_worked_on(packet: Packet) -> bool:
    """Whether *packet*'s owner is to make progress: not while it is handed off, or a review of that is awaited."""
    is_reviewed = packet.waiting is not None and packet.waiting.outcome == "escalated"
    return packet.status is PacketStatus.ASSIGNED and packet.request is None and not is_reviewed


def rejudge(ctx: Context, do: c.RejudgeOwner) -> Decided:
    """Judge the present owner again, at ``retain``: anything but allow revokes, and what it withholds is withheld."""
    ctx.authorise(do)
    packet = ctx.packet(do.packet_id)
    holder = packet.holder
    if holder is None or packet.epoch != do.epoch:
        return Decided([])
    member = ctx.state.members[holder.member_id]
    verdict = judge(ctx, packet, Point.RETAIN, [member]).verdict(0)
    if lapsed_for_owner(ctx, packet, member):
        return Decided([_revoked(packet, holder, "retain_denied", (REVIEW_LAPSED,))])
    if verdict.outcome == "allow":
        return _narrowed(packet, holder, verdict.obligations, do.views)
    reasons = tuple(r.name for r in verdict.reasons[:REASONS_MAX])
    return Decided([_revoked(packet, holder, "retain_denied", reasons)])


def _narrowed(
    packet: Packet, holder: e.Owner, kept: Sequence[c.Obligation], views: Sequence[c.View]
) -> Decided:
    """Withhold from the owner what policy withholds now and did not when it took over; never give anything back."""
    more = [o for o in kept if o.type == "redact" and o not in packet.obligations]
    obligations = (*packet.obligations, *more)
    if packet.context is None or set(withheld(obligations)) == set(withheld(packet.obligations)):
        return Decided([])
    view = view_for(packet, obligations, views)
    events: list[e.Event] = []
    if packet.pending is not None:
        events.append(aborted(packet, "policy", ("pfgov:obligation",)))
    events.append(
        e.CheckpointCommitted(
            packet_id=packet.packet_id,
            epoch=packet.epoch,
            owner=holder,
            context=packet.context,
            view=view.view if view else None,
            obligations=obligations,
        )
    )
    return Decided(events)
