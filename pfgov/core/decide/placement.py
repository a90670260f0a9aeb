"""One decision: rank those whom policy lets through, check the kernel's own rules, say why.

The order is fixed: policy verdict per member with reviews on record
(:mod:`pfgov.core.decide.judging`), capacity, scheduler, and a last check that the scheduler chose among what it was
given.
The result names a winner or the outcome that leaves the packet where it is, with the digest of the whole verdict table.
Nothing here appends anything.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from pfgov.core import events as e
from pfgov.core.apply.packets import CHANGES_ALONE_COUNT, requested
from pfgov.core.commands import Obligation, View
from pfgov.core.decide.asking import active_policy
from pfgov.core.decide.balance import FILTERED_FIRST, emptiest, is_worth_it, likeliest, unavoided
from pfgov.core.decide.context import Context, Decided, NeedsViewError
from pfgov.core.decide.grants import BOUND_TO_FACTS, lapsed_since, review_point
from pfgov.core.decide.judging import judge, reviews_used
from pfgov.core.judging import Judged
from pfgov.core.lifecycle import MAY_OWN, MemberStatus, PacketStatus
from pfgov.core.quantity import to_text
from pfgov.core.records import Member, Packet
from pfgov.core.scheduler import TASKS, Choice, Request, checked_choose, fits
from pfgov.core.verdicts import Point, Reason, Verdict, combine, reserved
from pfgov.errors import ConflictError
from pfgov.limits import MICRO, NEAREST_LOSERS_MAX

BALANCING: Final = "rebalance"
"""The reason of handoffs that even the load out."""

_NO_ROOM = frozenset({"pfgov:capacity", "pfgov:pressure"})


@dataclass(frozen=True, slots=True)
class Placement:
    """What one decision came to.

    Attributes:
        outcome: As the entry records it.
        decision: The part of the entry that explains it.
        table: The verdict table that ``decision.table`` is the digest of.
        winner: The member chosen; only when allowed.
        verdict: The winner's verdict.
        escalations: The reasons that a review would discharge; only when escalated.
        reviews: The positions of the reviews without which the winner would not be allowed.
    """

    outcome: e.Outcome
    decision: e.Decision
    table: bytes
    winner: Member | None
    verdict: Verdict | None
    escalations: tuple[Reason, ...]
    reviews: tuple[int, ...] = ()


def decide_placement(
    ctx: Context,
    packet: Packet,
    point: Point,
    *,
    source: Member | None = None,
    target: Member | None = None,
    reason: str = "",
    exclude: str | None = None,
) -> Placement:
    """Judge, rank and choose an owner for *packet*.

    Args:
        ctx: The command.
        packet: The packet, as it would be judged.
        point: ``assign``, ``handoff``, ``accept`` or ``retain``.
        source: The last or present owner, for a handoff.
        target: Judge only this member.
        reason: Why, as policies may read it.
        exclude: The present owner, who cannot be its own target.

    Raises:
        SchedulerError: the scheduler named somebody it may not; nothing moves.
    """
    members = [target] if target is not None else ctx.state.roster()
    terms = packet.terms
    request = Request(packet.packet_id, packet.epoch, terms.workload_type, dict(terms.demand))
    judged = judge(ctx, packet, point, members, source=source, reason=reason)
    if point in {Point.ASSIGN, Point.HANDOFF}:
        judged = with_kernel(ctx, request, judged, exclude)
    if reason == BALANCING and ctx.is_follow_up and source is not None:
        judged = _with_balance(ctx, judged, source)
    ref = scheduler_ref(ctx, packet)
    judged, choice = _chosen(ctx, packet, point, ref, request, judged, reason)
    scores = dict(choice.scores) if choice is not None else {}
    digest, table = ctx.tools.table(judged, scores)
    outcome = _outcome(judged, choice)
    decision = e.Decision(
        point=point.value,
        policy=ctx.state.policy or "",
        considered=len(members),
        eligible=len(judged.allowed),
        rejected=judged.rejected,
        shadow=judged.shadow,
        scheduler=ctx.tools.ranker(ref)[1],
        score=choice.score if choice else None,
        runner_up=choice.runner_up if choice else None,
        runner_up_score=choice.runner_up_score if choice else None,
        nearest=_nearest(judged, choice, scores),
        table=digest,
    )
    if choice is None:
        escalations = _escalations(judged) if outcome == "escalated" else ()
        return Placement(outcome, decision, table, None, None, escalations)
    winner = ctx.state.members[choice.member_id]
    verdict = next(judged.verdict(i) for i in judged.allowed if members[i] is winner)
    if point in {Point.ASSIGN, Point.HANDOFF, Point.ACCEPT}:
        due = owed(ctx, packet, winner, verdict.obligations)
        if due is not verdict.obligations:
            verdict = combine(verdict.reasons, due, verdict.shadow)
    used = reviews_used(ctx, packet, point, winner, source=source, reason=reason)
    return Placement(outcome, decision, table, winner, verdict, (), used)


def _chosen(
    ctx: Context,
    packet: Packet,
    point: Point,
    ref: e.SchedulerRef,
    request: Request,
    judged: Judged,
    reason: str,
) -> tuple[Judged, Choice | None]:
    """Return the scheduler's choice, and the verdicts that led to it.

    Since the rules number 4 nobody is chosen who could not keep the packet: it would be taken away at the next look and
    given to the same member again, for ever.
    """
    while True:
        eligible: Sequence[Member] = [judged.members[i] for i in judged.allowed]
        if eligible and ctx.state.semantics >= FILTERED_FIRST and point is Point.HANDOFF:
            if reason == BALANCING and ctx.is_follow_up:
                eligible = emptiest(eligible)
            elif packet.owner is not None:
                eligible = likeliest(packet, eligible)
        if packet.avoided and packet.owner is None:
            eligible = unavoided(packet, eligible)
        choice = _choose(ctx, point, ref, request, eligible)
        if choice is None or point in {Point.ACCEPT, Point.RETAIN}:
            return judged, choice
        unkept = _unkept(ctx, packet, choice.member_id)
        if not unkept:
            return judged, choice
        index = next(i for i in judged.allowed if judged.members[i].member_id == choice.member_id)
        verdict = judged.verdict(index)
        denied = combine(unkept, verdict.obligations, verdict.shadow)
        judged = judged.amended({index: denied}, ctx.tools.rendered)


def _unkept(ctx: Context, packet: Packet, member_id: str) -> tuple[Reason, ...]:
    """Return why policy at ``retain`` would take *packet* from that member at once; nothing if it would not."""
    if ctx.state.semantics < FILTERED_FIRST:
        return ()
    member = ctx.state.members[member_id]
    verdict = judge(ctx, packet, Point.RETAIN, [member]).verdict(0)
    if verdict.outcome == "allow":
        return ()
    # a review would be asked for placing and discharge nothing at retain, so that here an escalation is a no
    return tuple(msgspec.structs.replace(reason, effect="deny") for reason in verdict.reasons)


def _with_balance(ctx: Context, judged: Judged, source: Member) -> Judged:
    """Add the balancer's reason to whom it would not be worth moving anything."""
    least = ctx.state.settings.rebalance_gain_permille
    changes: dict[int, Verdict] = {}
    for index in judged.open:
        member = judged.members[index]
        if not is_worth_it(source, member, least):
            verdict = judged.verdict(index)
            reason = reserved("balance", f"{member.member_id} is hardly emptier")
            changes[index] = combine(
                (*verdict.reasons, reason), verdict.obligations, verdict.shadow
            )
    return judged.amended(changes, ctx.tools.rendered) if changes else judged


def _choose(
    ctx: Context, point: Point, ref: e.SchedulerRef, request: Request, eligible: Sequence[Member]
) -> Choice | None:
    """Ask the scheduler; at ``accept`` the target is chosen already and its room is reserved."""
    if not eligible:
        return None
    if point in {Point.ACCEPT, Point.RETAIN}:
        return Choice(eligible[0].member_id, 0)
    return checked_choose(ctx.tools.ranker(ref)[0], request, eligible)


def with_kernel(ctx: Context, request: Request, judged: Judged, exclude: str | None) -> Judged:
    """Add the kernel's reasons to whom policy lets through: an owner is no target, nobody takes what does not fit."""
    if exclude is None and ctx.state.has_room_everywhere(request.demand):
        return judged
    changes: dict[int, Verdict] = {}
    for index in judged.open:
        member = judged.members[index]
        if member.member_id == exclude:
            reason = reserved("lifecycle", f"{member.member_id} owns the packet already")
        elif member.pressed:
            reason = _pressure_reason(member)
        elif fits(request, member):
            continue
        else:
            reason = _capacity_reason(request, member)
        verdict = judged.verdict(index)
        changes[index] = combine((*verdict.reasons, reason), verdict.obligations, verdict.shadow)
    return judged.amended(changes, ctx.tools.rendered) if changes else judged


def _pressure_reason(member: Member) -> Reason:
    observed = to_text(member.pressure)
    return reserved(
        "pressure",
        f"{member.member_id} reports pressure {observed}: no new work",
        observed=observed,
    )


def _capacity_reason(request: Request, member: Member) -> Reason:
    for name, limit in sorted(member.capacity.items()):
        taken = member.used.get(name, 0) + request.demand.get(name, 0)
        if name == TASKS:
            taken = max(taken, (member.active + 1) * MICRO)
        if taken > limit:
            observed, bound = to_text(taken), to_text(limit)
            said = f"{name} would be {observed} of {bound}"
            return reserved("capacity", said, observed=observed, bound=bound)
    return reserved("capacity", "no room")


def _outcome(judged: Judged, choice: Choice | None) -> e.Outcome:
    if choice is not None:
        return "allowed"
    if not judged.members:
        return "no_candidate"
    if judged.allowed:
        return "no_capacity"  # the scheduler has a cap of its own
    if judged.open:
        return "escalated"
    for number in set(judged.of):
        reasons = judged.kinds[number].verdict.reasons
        if all(r.name in _NO_ROOM or r.effect == "escalate" for r in reasons):
            return "no_capacity"
    return "denied"


def _escalations(judged: Judged) -> tuple[Reason, ...]:
    """Return the escalations of the members that nothing else keeps out, each rule once."""
    found: dict[str, Reason] = {}
    for index in judged.open:
        for reason in judged.verdict(index).reasons:
            found.setdefault(reason.name, reason)
    return tuple(found[name] for name in sorted(found))


def scheduler_ref(ctx: Context, packet: Packet) -> e.SchedulerRef:
    """Return the scheduler for *packet*: its own, its workload type's, or the default."""
    settings = ctx.state.settings
    if packet.terms.scheduler is not None:
        return e.SchedulerRef(name=packet.terms.scheduler, version="")
    for workload_type, ref in settings.schedulers:
        if workload_type == packet.terms.workload_type:
            return ref
    return settings.scheduler


def _nearest(judged: Judged, choice: Choice | None, scores: dict[str, int]) -> tuple[e.Loser, ...]:
    """Return who came closest: eligible members by score, then the others by how many reasons they have."""
    if choice is None:
        return judged.losers
    least = 0
    if (
        len(scores) > SORTED_WHOLE_MAX
    ):  # of many only the best are put in order, the chosen one among them
        least = sorted(scores.values(), reverse=True)[NEAREST_LOSERS_MAX]
    ranked = sorted([(-score, name) for name, score in scores.items() if score >= least])
    close = [
        e.Loser(member_id=name, score=-negative)
        for negative, name in ranked[: NEAREST_LOSERS_MAX + 1]
        if name != choice.member_id
    ]
    return (*close, *judged.losers)[:NEAREST_LOSERS_MAX]


SORTED_WHOLE_MAX: Final = 32
"""Scores that are put in order as a whole: of more, only those that may be among the nearest."""


def owed(
    ctx: Context, packet: Packet, winner: Member, obligations: tuple[Obligation, ...]
) -> tuple[Obligation, ...]:
    """Return *obligations* with what policy withholds from an owner as such: it binds from the first moment."""
    if Point.RETAIN not in active_policy(ctx).redacts:
        return obligations
    kept = judge(ctx, packet, Point.RETAIN, [winner]).verdict(0).obligations
    return (*obligations, *(o for o in kept if o.type == "redact" and o not in obligations))


def withheld(obligations: Sequence[Obligation]) -> tuple[str, ...]:
    """Return the JSON pointers that *obligations* withhold from an owner, in order."""
    return tuple(sorted({path for o in obligations if o.type == "redact" for path in o.paths}))


def view_for(
    packet: Packet, obligations: Sequence[Obligation], views: Sequence[View]
) -> View | None:
    """Return the view of the context that *obligations* leave to the new owner, or None for the whole.

    Raises:
        NeedsViewError: nobody has committed to it yet.
    """
    paths = withheld(obligations)
    if not paths or packet.context is None:
        return None
    for view in views:
        if view.paths == paths:
            return view
    raise NeedsViewError(paths, packet.context)


# --- a packet that nobody owns ------------------------------------------------------------


def first_placement(
    ctx: Context, packet: Packet, views: Sequence[View], *, target: Member | None = None
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
        if source is None or not _is_still(source, packet) or ctx.state.semantics < FILTERED_FIRST:
            return Decided([_exhausted(packet)])
        target = (
            source  # it may go to nobody else, and whoever had it lives: going back is no handoff
        )
    placement = decide_placement(ctx, packet, point, source=source, target=target, reason=reason)
    if placement.outcome != "allowed" and ctx.is_follow_up and _said_before(packet, placement):
        return Decided([])
    event = _assignment(packet, placement, views, reason)
    events: list[e.Event] = [event]
    if placement.outcome == "escalated":
        events.append(review_request(ctx, packet, point, placement, target))
    return Decided(events, tables={placement.decision.table: placement.table})


def _is_still(source: Member, packet: Packet) -> bool:
    """Whether *source*, who had *packet* last and did not give it back, is in the same life and may own things."""
    last = packet.last_owner
    return (
        last is not None
        and last.incarnation == source.incarnation
        and source.status in MAY_OWN
        and packet.last_event != "packet_requeued"
    )


def _exhausted(packet: Packet) -> e.PacketFailed:
    waiting = packet.waiting
    return e.PacketFailed(
        packet_id=packet.packet_id,
        epoch=packet.epoch,
        cause="max_handoffs",
        reasons=tuple(name for name, _ in waiting.reasons) if waiting else (packet.last_event,),
    )


def _said_before(packet: Packet, placement: Placement) -> bool:
    """Whether the outcome and its set of reasons are the ones on record."""
    waiting = packet.waiting
    return (
        waiting is not None
        and waiting.outcome == placement.outcome
        and {name for name, _ in waiting.reasons}
        == {name for name, _ in placement.decision.rejected}
        and (packet.status is PacketStatus.AWAITING_REVIEW) == (placement.outcome == "escalated")
    )


def _assignment(
    packet: Packet, placement: Placement, views: Sequence[View], reason: str
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
        reviews=placement.reviews,
    )


def review_request(
    ctx: Context, packet: Packet, point: Point, placement: Placement, target: Member | None
) -> e.ReviewRequested:
    """Return the request for what was escalated: to one kind of reviewer, the others are asked after it."""
    asked, to = placement.escalations, _reviewer(placement.escalations)
    is_bound = ctx.state.semantics >= BOUND_TO_FACTS
    if is_bound:
        asked = tuple(reason for reason in asked if (reason.to or to) == to)
    waits = [r.expires for r in asked if r.expires is not None]
    expires_at = ctx.now + (min(waits) if waits else ctx.state.settings.review_timeout)
    request = e.ReviewRequested(
        packet_id=packet.packet_id,
        point=review_point(point),
        policy=ctx.state.policy or "",
        rules=_rules(asked),
        to=to,
        member_id=target.member_id if target else None,
        expires_at=expires_at,
        approvals=max(reason.approvals for reason in asked) if is_bound else 1,
        lapsed=lapsed_since(ctx, packet, point, target) if is_bound else (),
    )
    return _as_asked(ctx, packet, request)


def _as_asked(ctx: Context, packet: Packet, request: e.ReviewRequested) -> e.ReviewRequested:
    """Return *request* as it stands where it was made already: asking again prolongs nothing."""
    known = packet.request
    if known is None or ctx.now >= known.expires_at or ctx.state.semantics < CHANGES_ALONE_COUNT:
        return request
    again = msgspec.structs.replace(request, expires_at=known.expires_at)
    return again if requested(ctx.state, again) == known else request


def _rules(reasons: Iterable[Reason]) -> tuple[e.RuleRef, ...]:
    return tuple(e.RuleRef(policy=r.policy, rule=r.rule) for r in reasons)


def _reviewer(reasons: Iterable[Reason]) -> str:
    return min((r.to for r in reasons if r.to is not None), default="reviewer")
