"""One decision: rank those whom policy lets through, check the kernel's own rules, say why.

The order is fixed (RUNTIME, "One decision"): policy verdict per member with reviews on record
(:mod:`pfgov.decide.judging`), capacity, scheduler, and a last check that the scheduler chose among what it was given.
The result names a winner or the outcome that leaves the packet where it is, with the digest of the whole verdict table.
Nothing here appends anything.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pfgov import events as e
from pfgov.commands import Obligation, View
from pfgov.decide.context import Context, NeedsViewError
from pfgov.decide.judging import Judged, active_policy, judge
from pfgov.limits import MICRO, NEAREST_LOSERS_MAX
from pfgov.quantity import to_text
from pfgov.records import Member, Packet
from pfgov.scheduling.base import TASKS, Choice, Request, fits
from pfgov.scheduling.selection import checked_choose
from pfgov.verdicts import Point, Reason, Verdict, combine, reserved

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
    """

    outcome: e.Outcome
    decision: e.Decision
    table: bytes
    winner: Member | None
    verdict: Verdict | None
    escalations: tuple[Reason, ...]


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
        judged = _with_kernel(ctx, request, judged, exclude)
    ref = scheduler_ref(ctx, packet)
    choice = _choose(ctx, point, ref, request, [members[i] for i in judged.allowed])
    scores = dict(choice.scores) if choice is not None else {}
    table = judged.table(scores)
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
        table=hashlib.sha256(table).hexdigest(),
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
    return Placement(outcome, decision, table, winner, verdict, ())


def _choose(
    ctx: Context, point: Point, ref: e.SchedulerRef, request: Request, eligible: Sequence[Member]
) -> Choice | None:
    """Ask the scheduler; at ``accept`` the target is chosen already and its room is reserved."""
    if not eligible:
        return None
    if point in {Point.ACCEPT, Point.RETAIN}:
        return Choice(eligible[0].member_id, 0)
    return checked_choose(ctx.tools.ranker(ref)[0], request, eligible)


def _with_kernel(ctx: Context, request: Request, judged: Judged, exclude: str | None) -> Judged:
    """Add the kernel's reasons to whom policy lets through: an owner is no target, nobody takes what does not fit."""
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
    return judged.amended(changes, ctx.tools.told) if changes else judged


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
    ranked = sorted(
        (-score, member_id) for member_id, score in scores.items() if member_id != choice.member_id
    )
    close = tuple(
        e.Loser(member_id=member_id, score=-negative)
        for negative, member_id in ranked[:NEAREST_LOSERS_MAX]
    )
    return (*close, *judged.losers)[:NEAREST_LOSERS_MAX]


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
