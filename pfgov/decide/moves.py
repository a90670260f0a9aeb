"""Rules that change who owns a packet: placing, handing off, accepting, reviewing.

No line here changes an owner without a verdict of policy on exactly that packet and member, taken in the same command;
at acceptance it is taken again.  Every change of owner raises the epoch by one.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from pfgov import commands as c
from pfgov import events as e
from pfgov.decide.context import Context, Decided
from pfgov.decide.judging import review_point
from pfgov.decide.placement import Placement, decide_placement, view_for, withheld
from pfgov.errors import ConflictError, ForbiddenError, NotOwnerError, StateConflictError
from pfgov.lifecycle import MAY_OWN, TERMINAL, MemberStatus, PacketStatus, packet_after
from pfgov.records import Member, Packet, Pending
from pfgov.verdicts import Point, Reason

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


def first_placement(
    ctx: Context, packet: Packet, views: Sequence[c.View], *, target: Member | None = None
) -> Decided:
    """Run the pipeline for *packet*, which nobody owns, and say what it comes to."""
    last = packet.last_owner
    point = Point.ASSIGN if last is None else Point.HANDOFF
    source = None if last is None else ctx.state.members.get(last.member_id)
    reason = packet.last_event if last is not None else ""
    limit = (
        ctx.state.settings.max_handoffs
        if packet.terms.max_handoffs is None
        else packet.terms.max_handoffs
    )
    if point is Point.HANDOFF and packet.handoff_count >= limit:
        return Decided([_exhausted(packet)])
    placement = decide_placement(ctx, packet, point, source=source, target=target, reason=reason)
    if placement.outcome != "allowed" and ctx.is_follow_up and _said_before(packet, placement):
        return Decided([])
    event = _assignment(packet, placement, views, reason)
    events: list[e.Event] = [event]
    if placement.outcome == "escalated":
        events.append(_review_request(ctx, packet, point, placement, target))
    return Decided(events, tables={placement.decision.table: placement.table})


def _exhausted(packet: Packet) -> e.PacketFailed:
    waiting = packet.waiting
    return e.PacketFailed(
        packet_id=packet.packet_id,
        epoch=packet.epoch,
        cause="max_handoffs",
        reasons=tuple(name for name, _ in waiting.reasons) if waiting else (packet.last_event,),
    )


def _said_before(packet: Packet, placement: Placement) -> bool:
    """Whether the outcome and its set of reasons are the ones on record (POLICY, "Meaning", 10)."""
    waiting = packet.waiting
    return (
        waiting is not None
        and waiting.outcome == placement.outcome
        and {name for name, _ in waiting.reasons}
        == {name for name, _ in placement.decision.rejected}
        and (packet.status is PacketStatus.AWAITING_REVIEW) == (placement.outcome == "escalated")
    )


def _assignment(
    packet: Packet, placement: Placement, views: Sequence[c.View], reason: str
) -> e.AssignmentDecision:
    winner, verdict = placement.winner, placement.verdict
    if winner is None or verdict is None:
        return e.AssignmentDecision(
            packet_id=packet.packet_id,
            outcome=placement.outcome,
            epoch=packet.epoch,
            source=packet.last_owner,
            decision=placement.decision,
            reason=reason or None,
        )
    if winner.status is not MemberStatus.ACTIVE:
        # The kernel policy says so first; this is the wall behind it.
        raise ConflictError(f"{winner.member_id} is {winner.status}", code="lifecycle.illegal")
    view = view_for(packet, verdict.obligations, views)
    return e.AssignmentDecision(
        packet_id=packet.packet_id,
        outcome="allowed",
        epoch=packet.epoch + 1,
        owner=e.Owner(member_id=winner.member_id, incarnation=winner.incarnation),
        source=packet.last_owner,
        decision=placement.decision,
        obligations=verdict.obligations,
        view=view.view if view else None,
        reason=reason or None,
    )


# --- reviews ------------------------------------------------------------------------------

EXPIRED_AT_ONCE: Final = 2
"""The rules since which a request that has expired takes no review, whether or not a tick has noticed."""


def _review_request(
    ctx: Context, packet: Packet, point: Point, placement: Placement, target: Member | None
) -> e.ReviewRequested:
    waits = [r.expires for r in placement.escalations if r.expires is not None]
    expires_at = ctx.now + (min(waits) if waits else ctx.state.settings.review_timeout)
    return e.ReviewRequested(
        packet_id=packet.packet_id,
        point=review_point(point),
        policy=ctx.state.policy or "",
        rules=_rules(placement.escalations),
        to=_reviewer(placement.escalations),
        member_id=target.member_id if target else None,
        expires_at=expires_at,
    )


def _rules(reasons: Iterable[Reason]) -> tuple[e.RuleRef, ...]:
    return tuple(e.RuleRef(policy=r.policy, rule=r.rule) for r in reasons)


def _reviewer(reasons: Iterable[Reason]) -> str:
    return min((r.to for r in reasons if r.to is not None), default="reviewer")


def review(ctx: Context, do: c.ReviewPacket) -> Decided:
    """Grant or refuse what policy escalated; a grant runs the whole pipeline again."""
    packet = ctx.packet(do.packet_id)
    request = packet.request
    if request is None:
        raise StateConflictError(
            f"packet {do.packet_id} waits for no review",
            code="review.not_requested",
            hint=f"see what it waits for: pfgov packet explain {do.packet_id}",
        )
    principal = ctx.command.principal
    if request.to not in principal.rights:
        raise ForbiddenError(
            f"{principal.id} lacks the right {request.to!r}",
            hint=f"ask somebody who is {request.to}",
        )
    _not_by_the_owner(ctx, packet)
    if ctx.now >= request.expires_at and ctx.state.semantics >= EXPIRED_AT_ONCE:
        expired = e.ReviewExpired(packet_id=do.packet_id, point=request.point, rules=request.rules)
        refusal = StateConflictError(
            f"packet {do.packet_id} waited for that review until it expired",
            code="review.expired",
            hint=f"ask again, and review what is asked then: pfgov packet assign {do.packet_id}",
        )
        return Decided([expired], refusal)
    member_id = do.member_id or request.member_id
    if member_id is not None:
        ctx.member(member_id)
    recorded = e.ReviewRecorded(
        packet_id=do.packet_id,
        granted=do.granted,
        reviewer=principal.id,
        point=request.point,
        policy=request.policy,
        rules=request.rules,
        member_id=member_id,
        expires_at=do.expires_at,
        note=do.note,
    )
    return Decided([recorded])


def _not_by_the_owner(ctx: Context, packet: Packet) -> None:
    for member_id in (packet.owner, packet.last_owner.member_id if packet.last_owner else None):
        member = ctx.state.members.get(member_id) if member_id else None
        if f"member:{member_id}" in ctx.command.principal.rights or (
            member is not None and ctx.command.principal.id == member.member_id
        ):
            raise ForbiddenError(
                f"{ctx.command.principal.id} owns the packet and cannot review it",
                code="review.own_packet",
                hint="somebody else has to look",
            )


def expire_review(ctx: Context, do: c.ExpireReview) -> Decided:
    """Record that nobody reviewed in time."""
    ctx.authorise(do)
    packet = ctx.packet(do.packet_id)
    request = packet.request
    if request is None or ctx.now < request.expires_at:
        return Decided([])
    return Decided(
        [e.ReviewExpired(packet_id=do.packet_id, point=request.point, rules=request.rules)]
    )


# --- handoff ------------------------------------------------------------------------------

OVERDUE_AT_ONCE: Final = 3
"""The rules since which a handoff is accepted in time or not at all, whether or not a tick has noticed."""


def hand_off(ctx: Context, do: c.HandOff) -> Decided:
    """Find a target for an owned packet and start to hand it over; members in ``auto`` mode accept at once."""
    packet = ctx.packet(do.packet_id)
    ctx.authorise(do, packet.owner)
    packet_after(do.packet_id, packet.status, "handoff_started")
    holder = packet.holder
    if holder is None:
        raise AssertionError(do.packet_id)
    source = ctx.state.members[holder.member_id]
    if ctx.state.semantics >= OVERDUE_AT_ONCE and not ctx.is_overseer:
        _still_holds(holder, source, packet)
    _in_time(ctx, packet)
    target = ctx.member(do.target, pointer="/target") if do.target is not None else None
    limit = (
        ctx.state.settings.max_handoffs
        if packet.terms.max_handoffs is None
        else packet.terms.max_handoffs
    )
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
    waiting = packet.waiting
    if ctx.is_follow_up and waiting is not None and waiting.outcome == placement.outcome:
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
            [escalated, _review_request(ctx, packet, Point.HANDOFF, placement, target)],
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
    )
    return done, tables


def accept(ctx: Context, do: c.AcceptHandoff) -> Decided:
    """The target takes over, having read exactly what was pinned for it."""
    ctx.authorise(do, do.member_id)
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
    packet = ctx.packet(do.packet_id)
    pending = packet.pending
    ctx.authorise(do, packet.owner, pending.target if pending else None)
    if ctx.is_follow_up and pending is None:
        return Decided([])  # it ended meanwhile
    packet_after(do.packet_id, packet.status, "handoff_aborted")
    if pending is None:
        raise AssertionError(do.packet_id)
    cause = do.cause
    if cause == "policy":
        return _judged_again(ctx, packet, pending)
    if do.member_id == pending.target and cause == "requested":
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


# --- asking -------------------------------------------------------------------------------

ASKED_AS_IT_STANDS: Final = 3
"""The rules since which nobody is told that it may own a packet that has ended, or may get one that it owns."""


def evaluate(ctx: Context, do: c.EvaluateDecision) -> Decided:
    """Answer whether a member may own a packet, on record, and move nothing.

    Raises:
        IllegalTransitionError: the packet has ended, so that nobody will own it; nothing is recorded.
    """
    ctx.authorise(do)
    packet, member = ctx.packet(do.packet_id), ctx.member(do.member_id)
    as_it_stands = ctx.state.semantics >= ASKED_AS_IT_STANDS
    if as_it_stands and packet.status in TERMINAL:
        packet_after(do.packet_id, packet.status, "assignment_allowed")
    last = packet.holder or packet.last_owner
    point = Point(do.point) if do.point else (Point.ASSIGN if last is None else Point.HANDOFF)
    source = ctx.state.members.get(last.member_id) if last and point is not Point.ASSIGN else None
    placement = decide_placement(
        ctx,
        packet,
        point,
        source=source,
        target=member,
        reason="evaluated",
        exclude=packet.owner if as_it_stands else None,
    )
    outcome = {"allowed": "allowed", "escalated": "escalated"}.get(placement.outcome, "denied")
    event = e.DecisionEvaluated(
        packet_id=do.packet_id,
        member_id=do.member_id,
        outcome=outcome,  # type: ignore[arg-type]  # one of the three literals
        reasons=tuple(name for name, _ in placement.decision.rejected),
        obligations=placement.verdict.obligations if placement.verdict else (),
        decision=placement.decision,
    )
    return Decided([event], tables={placement.decision.table: placement.table})
