"""Rules that change who owns a packet: placing, handing off, accepting.

No line here changes an owner without a verdict of policy on exactly that packet and member, taken in the same command;
at acceptance it is taken again.  Every change of owner raises the epoch by one.
"""

from collections.abc import Sequence
from typing import Final

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide.balance import FILTERED_FIRST
from pfgov.core.decide.context import Context, Decided
from pfgov.core.decide.owning import refuse_stale, refuse_target, refuse_unknown, refuse_unnamed
from pfgov.core.decide.placement import (
    BALANCING,
    Placement,
    decide_placement,
    first_placement,
    review_request,
    view_for,
    withheld,
)
from pfgov.core.lifecycle import MAY_OWN, packet_after
from pfgov.core.records import Member, Packet, Pending
from pfgov.core.verdicts import Point
from pfgov.errors import ForbiddenError, NotOwnerError, StateConflictError

# --- packets without an owner -------------------------------------------------------------


def place(ctx: Context, do: c.PlacePacket) -> Decided:
    """Find an owner for a packet that has none."""
    ctx.authorise(do)
    packet = ctx.packet(do.packet_id)
    if packet.terms.hold and ctx.is_follow_up:
        return Decided([])
    packet_after(do.packet_id, packet.status, "assignment_allowed")
    _in_time(ctx, packet)
    target = ctx.member(do.target, pointer="/target") if do.target is not None else None
    return first_placement(ctx, packet, do.views, target=target)


def _in_time(ctx: Context, packet: Packet) -> None:
    """Refuse to move a packet whose deadline has passed, even before a tick has ended it."""
    deadline = packet.terms.deadline
    if deadline is not None and ctx.now >= deadline and ctx.state.semantics >= OVERDUE_AT_ONCE:
        raise StateConflictError(
            f"the deadline of {packet.packet_id} has passed",
            code="packet.overdue",
            hint="it fails at the next tick; submit it again with another deadline",
        )


# --- handoff ------------------------------------------------------------------------------

_ASKED: Final = {"review_refused": "escalated", "review_expired": "escalated"}
"""What a packet that was reviewed waited for before: a follow-up asks nobody twice for the same."""

OPPORTUNE: Final = frozenset({"pressure", BALANCING})
"""Reasons of the engine's handoffs that may as well not happen: nothing is wrong with where the packet is."""

RELIEVED_PER_REPORT: Final = 4
"""Packets that leave a member because of one report of high pressure."""

OWNER_IS_NO_TARGET: Final = 4
"""The rules since which a handoff to the present owner is refused, and not recorded as one that nobody may take."""

OVERDUE_AT_ONCE: Final = 3
"""The rules since which a handoff is accepted in time or not at all, whether or not a tick has noticed."""


def _refuse_unknown(ctx: Context, do: c.HandOff | c.AbortHandoff) -> Decided | None:
    """Return what a member is told that moves a packet that there is not: what it is told of another's; else None."""
    if not ctx.is_kept_from(do.packet_id):
        return None
    ctx.authorise(do, None if do.owner is None else do.owner.member_id)
    return None if do.owner is None else refuse_unknown(ctx, do.packet_id, do.owner)


def hand_off(ctx: Context, do: c.HandOff) -> Decided:
    """Find a target for an owned packet and start to hand it over; members in ``auto`` mode accept at once."""
    if unknown := _refuse_unknown(ctx, do):
        return unknown
    packet = ctx.packet(do.packet_id)
    ctx.authorise(do, packet.owner if do.owner is None else do.owner.member_id)
    if do.owner is None:
        refuse_unnamed(ctx)
    elif refused := refuse_stale(ctx, packet, do.owner, "handoff_started"):
        return refused
    packet_after(do.packet_id, packet.status, "handoff_started")
    holder = packet.holder
    if holder is None:
        raise AssertionError(do.packet_id)
    source = ctx.state.members[holder.member_id]
    if ctx.state.semantics >= OVERDUE_AT_ONCE and not ctx.is_overseer:
        _still_holds(holder, source, packet)
    _in_time(ctx, packet)
    target = ctx.member(do.target, pointer="/target") if do.target is not None else None
    if target is source and ctx.state.semantics >= OWNER_IS_NO_TARGET:
        raise StateConflictError(
            f"{source.member_id} owns {do.packet_id} already",
            code="handoff.to_owner",
            hint="name another member, or none: policy and the scheduler choose one then",
            pointer="/target",
        )
    limit = (
        ctx.state.settings.max_handoffs
        if packet.terms.max_handoffs is None
        else packet.terms.max_handoffs
    )
    if do.reason == "pressure" and ctx.is_follow_up and source.relieved >= RELIEVED_PER_REPORT:
        return Decided([])  # its report has had its effect; the next step waits for a newer one
    if packet.handoff_count >= limit:
        raise StateConflictError(
            f"packet {do.packet_id} was handed off {packet.handoff_count} times, its limit",
            code="handoff.limit",
            hint="its owner keeps it; raise max_handoffs if it should move on",
        )
    placement = decide_placement(
        ctx,
        packet,
        Point.HANDOFF,
        source=source,
        target=target,
        reason=do.reason,
        exclude=holder.member_id,
    )
    tables = {placement.decision.table: placement.table}
    if placement.winner is None or placement.verdict is None:
        return _no_target(ctx, packet, placement, holder, do.reason, target, tables)
    winner, verdict = placement.winner, placement.verdict
    view = view_for(packet, verdict.obligations, do.views)
    started = e.HandoffStarted(
        packet_id=do.packet_id,
        epoch=packet.epoch,
        source=holder,
        target=e.Owner(member_id=winner.member_id, incarnation=winner.incarnation),
        reason=do.reason,
        deadline=ctx.now + ctx.state.settings.handoff_timeout,
        context=packet.context,
        view=view.view if view else None,
        obligations=verdict.obligations,
        decision=placement.decision,
        reviews=placement.reviews,
    )
    if winner.handoff_mode != "auto":
        return Decided([started], tables=tables)
    accepted, more = _accept(ctx, packet, holder, winner, do.reason, verdict.obligations)
    return Decided([started, accepted], tables={**tables, **more})


def _still_holds(holder: e.Owner, source: Member, packet: Packet) -> None:
    """Refuse an owner that is dead, or in another life: what it held is about to be taken, and is not its to give."""
    if holder.incarnation != source.incarnation or source.status not in MAY_OWN:
        raise NotOwnerError(
            f"{source.member_id} is {source.status} in its life number {source.incarnation} and holds"
            f" {packet.packet_id} no more",
            hint="it is taken at the next tick, and placed again",
        )


def _no_target(
    ctx: Context,
    packet: Packet,
    placement: Placement,
    holder: e.Owner,
    reason: str,
    target: Member | None,
    tables: dict[str, bytes],
) -> Decided:
    if ctx.is_follow_up and reason in OPPORTUNE and ctx.state.semantics >= FILTERED_FIRST:
        return Decided(
            []
        )  # its owner may keep it: that nobody would be better says nothing about the packet
    waiting = packet.waiting
    before = None if waiting is None else _ASKED.get(waiting.outcome, waiting.outcome)
    if ctx.is_follow_up and waiting is not None and before == placement.outcome:
        known = {name for name, _ in waiting.reasons}
        if known == {name for name, _ in placement.decision.rejected}:
            return Decided([])
    if placement.outcome == "escalated":
        escalated = e.HandoffEscalated(
            packet_id=packet.packet_id,
            epoch=packet.epoch,
            source=holder,
            reason=reason,
            decision=placement.decision,
        )
        return Decided(
            [escalated, review_request(ctx, packet, Point.HANDOFF, placement, target)],
            tables=tables,
        )
    denied = e.HandoffDenied(
        packet_id=packet.packet_id,
        epoch=packet.epoch,
        outcome=placement.outcome,
        source=holder,
        reason=reason,
        decision=placement.decision,
    )
    return Decided([denied], tables=tables)


def _accept(
    ctx: Context,
    packet: Packet,
    source: e.Owner,
    target: Member,
    reason: str,
    promised: Sequence[c.Obligation],
) -> tuple[e.Event, dict[str, bytes]]:
    """Judge *target* once more, at ``accept``; return the completed handoff, or its end.

    What *target* may read was pinned under the *promised* obligations: if more has to be withheld now, that handoff
    cannot be carried out any more.
    """
    placement = decide_placement(
        ctx,
        packet,
        Point.ACCEPT,
        source=ctx.state.members[source.member_id],
        target=target,
        reason=reason,
    )
    owner = e.Owner(member_id=target.member_id, incarnation=target.incarnation)
    tables = {placement.decision.table: placement.table}
    due = placement.verdict.obligations if placement.verdict is not None else ()
    kept_back = packet.context is None or set(withheld(due)) <= set(withheld(promised))
    if placement.winner is None or not kept_back:
        end = e.HandoffAborted(
            packet_id=packet.packet_id,
            epoch=packet.epoch,
            source=source,
            target=owner,
            cause="policy",
            reasons=tuple(name for name, _ in placement.decision.rejected)
            if placement.winner is None
            else ("pfgov:obligation",),
        )
        return end, tables
    done = e.HandoffCompleted(
        packet_id=packet.packet_id,
        epoch=packet.epoch + 1,
        source=source,
        owner=owner,
        decision=placement.decision,
        reviews=placement.reviews,
    )
    return done, tables


def accept(ctx: Context, do: c.AcceptHandoff) -> Decided:
    """The target takes over, having read exactly what was pinned for it."""
    ctx.authorise(do, do.member_id)
    found = ctx.find_packet(do.packet_id)
    waits = found is not None and found.pending is not None and found.pending.target == do.member_id
    if ctx.is_confined and not waits:
        raise StateConflictError(  # whose it is, and whether it is, is told to those whom it concerns
            f"no handoff of {do.packet_id} waits for {do.member_id}", code="handoff.not_target"
        )
    packet = ctx.packet(do.packet_id)
    packet_after(do.packet_id, packet.status, "handoff_completed")
    target = ctx.member(do.member_id)
    pending, source = packet.pending, packet.holder
    if pending is None or source is None:
        raise AssertionError(do.packet_id)
    if pending.position != do.handoff:
        raise StateConflictError(
            f"the handoff of {do.packet_id} started at position {pending.position}, not {do.handoff}",
            code="handoff.unknown",
            hint=f"read it again: pfgov packet show {do.packet_id}",
        )
    if (pending.target, pending.incarnation) != (do.member_id, target.incarnation):
        raise StateConflictError(
            f"the handoff of {do.packet_id} is for {pending.target}, not {do.member_id}",
            code="handoff.not_target",
        )
    if ctx.now >= pending.deadline and ctx.state.semantics >= OVERDUE_AT_ONCE:
        refusal = StateConflictError(
            f"the handoff of {do.packet_id} to {do.member_id} was not accepted in time",
            code="handoff.expired",
            hint=f"its owner keeps it; start another: pfgov packet handoff {do.packet_id}",
        )
        return Decided([aborted(packet, "timeout")], refusal)
    pinned = pending.view or pending.context
    if pinned is not None and do.view != pinned.digest:
        raise StateConflictError(
            f"{do.member_id} read another context than the one pinned for it",
            code="handoff.context_mismatch",
            hint="fetch the context again and accept with its commitment",
        )
    event, tables = _accept(ctx, packet, source, target, pending.reason, pending.obligations)
    return Decided([event], tables=tables)


def abort(ctx: Context, do: c.AbortHandoff) -> Decided:
    """Call a pending handoff off; the source keeps the packet."""
    if unknown := _refuse_unknown(ctx, do):
        return unknown
    packet = ctx.packet(do.packet_id)
    pending = packet.pending
    if do.owner is not None:
        ctx.authorise(do, do.owner.member_id)
        if pending is not None and do.owner.member_id == pending.target:
            refuse_target(packet, do.owner, do.handoff)
        elif refused := refuse_stale(ctx, packet, do.owner, "handoff_aborted"):
            return refused
    else:
        ctx.authorise(do, packet.owner, pending.target if pending else None)
        if do.cause != "policy":
            refuse_unnamed(ctx)
    if ctx.is_follow_up and pending is None:
        return Decided([])  # it ended meanwhile
    packet_after(do.packet_id, packet.status, "handoff_aborted")
    if pending is None:
        raise AssertionError(do.packet_id)
    cause = do.cause
    if cause == "policy":
        return _judged_again(ctx, packet, pending)
    refuses = do.member_id if do.owner is None else do.owner.member_id
    if refuses == pending.target and cause == "requested":
        cause = "refused"
    if ctx.is_follow_up and cause == "timeout" and ctx.now < pending.deadline:
        return Decided([])
    return Decided([aborted(packet, cause)])


def aborted(packet: Packet, cause: str, reasons: tuple[str, ...] = ()) -> e.HandoffAborted:
    """Return the end of *packet*'s pending handoff."""
    pending, source = packet.pending, packet.holder
    if pending is None or source is None:
        raise AssertionError(packet.packet_id)
    return e.HandoffAborted(
        packet_id=packet.packet_id,
        epoch=packet.epoch,
        source=source,
        target=e.Owner(member_id=pending.target, incarnation=pending.incarnation),
        cause=cause,  # type: ignore[arg-type]  # the literals are checked by the schema test
        reasons=reasons,
    )


def _judged_again(ctx: Context, packet: Packet, pending: Pending) -> Decided:
    """End a pending handoff whose target policy would not accept any more: it may read the context while it waits."""
    if not ctx.is_follow_up:
        raise ForbiddenError("only the engine ends a handoff for a policy")
    source, target = packet.holder, ctx.state.members[pending.target]
    if source is None:
        raise AssertionError(packet.packet_id)
    event, tables = _accept(ctx, packet, source, target, pending.reason, pending.obligations)
    return Decided([event], tables=tables) if isinstance(event, e.HandoffAborted) else Decided([])
