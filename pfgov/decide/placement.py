"""One decision: judge every member, rank the eligible, check the kernel's own rules, say why.

The order is fixed (RUNTIME, "One decision"): policy verdict per member, reviews on record, capacity, scheduler, and a
last check that the scheduler chose among what it was given.  The result names a winner or the outcome that leaves the
packet where it is, with the digest of the whole verdict table.  Nothing here appends anything.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pfgov import events as e
from pfgov.commands import Obligation, View
from pfgov.decide.context import MEMO_MAX, Context, NeedsViewError
from pfgov.facts import (
    TERMS_FACTS,
    Facts,
    member_facts,
    member_load,
    packet_facts,
    principal_facts,
    terms_facts,
)
from pfgov.limits import NEAREST_LOSERS_MAX, REASONS_PER_LOSER_MAX, REJECTED_RULES_MAX
from pfgov.policy import PolicySet, Question
from pfgov.records import ENCODE, Member, Packet
from pfgov.scheduling.base import Choice, Request, fits
from pfgov.scheduling.selection import checked_choose
from pfgov.verdicts import Point, Reason, Verdict, combine, reserved

PLACE: Final = "place"
"""A review at one of assign, handoff, accept holds for all three: policies say ``on: [place]`` for them."""

_PLACING: Final = frozenset({Point.ASSIGN, Point.HANDOFF, Point.ACCEPT})
_CARRIED_OUT: Final = frozenset({"redact", "notify"})


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
        reasons: The names of all rules that kept somebody out.
    """

    outcome: e.Outcome
    decision: e.Decision
    table: bytes
    winner: Member | None
    verdict: Verdict | None
    escalations: tuple[Reason, ...]


def review_point(point: Point) -> str:
    """Return the point that a review asked for at *point* holds for."""
    return PLACE if point in _PLACING else point.value


def active_policy(ctx: Context) -> PolicySet:
    """Return the compiled set in force; the kernel alone where none was ever activated."""
    return ctx.tools.policies(ctx.state.policy or "")


def facts_of(ctx: Context, member: Member, *, load: bool) -> Facts:
    """Return *member*'s facts at this moment: load refreshed where a policy reads it, an expired trust left out."""
    facts = ctx.state.facts.get(member.member_id)
    if facts is None:
        facts = ctx.state.facts[member.member_id] = member_facts(member)
    elif load:
        facts["load"] = member_load(member)
        facts["reliability"] = member.reliability / 1_000_000
    if ctx.state.expiring:
        trust = member.attested
        if trust is not None and trust.expires_at is not None and ctx.now >= trust.expires_at:
            return {name: fact for name, fact in facts.items() if name != "trust_score"}
    return facts


def judge(
    ctx: Context,
    packet: Packet,
    point: Point,
    members: Sequence[Member],
    *,
    source: Member | None = None,
    reason: str = "",
) -> list[Verdict]:
    """Return policy's verdict on each of *members*, with what reviews on record discharge taken out."""
    policy = active_policy(ctx)
    memo = _memo_key(ctx, policy, packet, point, members, source, reason)
    verdicts = ctx.tools.verdicts.get(memo) if memo is not None else None
    if verdicts is None:
        load = point in policy.reads_load
        question = Question(
            point=point,
            action=point.value,
            packet=packet_facts(packet, _terms_facts(ctx, packet)),
            source=None if source is None else facts_of(ctx, source, load=load),
            principal=principal_facts(ctx.command.principal),
            reason=reason,
            now=ctx.now,
        )
        verdicts = policy.judge(
            question, [facts_of(ctx, member, load=load) for member in members], validated=True
        )
        if memo is not None:
            if len(ctx.tools.verdicts) >= MEMO_MAX:
                ctx.tools.verdicts.clear()
            ctx.tools.verdicts[memo] = verdicts
    return [
        verdict
        if not verdict.reasons and not verdict.obligations
        else _settled(ctx, packet, point, member, verdict)
        for member, verdict in zip(members, verdicts, strict=True)
    ]


def _memo_key(
    ctx: Context,
    policy: PolicySet,
    packet: Packet,
    point: Point,
    members: Sequence[Member],
    source: Member | None,
    reason: str,
) -> object | None:
    """Return a key under which equal questions about the whole roster have equal answers, or None.

    Only where no clause reads what changes from packet to packet: load, time, the asker, the packet's history.
    """
    if (
        ctx.state.expiring
        or members is not ctx.state.roster()
        or not _reads_only_terms(policy, point)
    ):
        return None
    return (
        policy.digest, point, packet.terms, ctx.state.fleet, source.member_id if source else None, reason,
    )  # fmt: skip


@lru_cache(maxsize=64)
def _reads_only_terms(policy: PolicySet, point: Point) -> bool:
    """Whether the verdict depends on nothing but the packet's terms and the members as they are."""
    if point in policy.reads_load or point in policy.reads_time:
        return False
    for path in policy.reads[point]:
        root, _, rest = path.partition(".")
        if root == "principal" or (root == "packet" and rest.partition(".")[0] not in TERMS_FACTS):
            return False
    return True


def _terms_facts(ctx: Context, packet: Packet) -> Facts:
    cached = ctx.tools.terms.get(packet.terms)
    if cached is None:
        if len(ctx.tools.terms) >= MEMO_MAX:
            ctx.tools.terms.clear()
        cached = ctx.tools.terms[packet.terms] = terms_facts(packet.terms)
    return cached


def _settled(
    ctx: Context, packet: Packet, point: Point, member: Member, verdict: Verdict
) -> Verdict:
    """Return *verdict* without the escalations that a review discharges; refuse obligations nobody can carry out."""
    reasons = tuple(
        reason
        for reason in verdict.reasons
        if reason.effect != "escalate" or not _is_reviewed(ctx, packet, point, member, reason)
    )
    impossible = [o.type for o in verdict.obligations if o.type not in _CARRIED_OUT]
    if impossible:
        reasons = (
            *reasons,
            reserved("obligation", f"pfgov cannot carry out the obligation {impossible[0]!r}"),
        )
    if reasons == verdict.reasons:
        return verdict
    return combine(reasons, verdict.obligations, verdict.shadow)


def _is_reviewed(
    ctx: Context, packet: Packet, point: Point, member: Member, reason: Reason
) -> bool:
    wanted = review_point(point)
    return any(
        review.policy == ctx.state.policy
        and review.point == wanted
        and (review.member_id is None or review.member_id == member.member_id)
        and (review.expires_at is None or ctx.now < review.expires_at)
        and set(packet.terms.data_classes) <= set(review.data_classes)
        and any(rule.policy == reason.policy and rule.rule == reason.rule for rule in review.rules)
        for review in packet.reviews
    )


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
    verdicts = judge(ctx, packet, point, members, source=source, reason=reason)
    request = Request(
        packet.packet_id, packet.epoch, packet.terms.workload_type, dict(packet.terms.demand)
    )
    if exclude is not None or point is not Point.RETAIN:
        verdicts = [
            _with_kernel(request, member, verdict, exclude, point)
            for member, verdict in zip(members, verdicts, strict=True)
        ]
    eligible = [m for m, v in zip(members, verdicts, strict=True) if v.outcome == "allow"]
    ref = scheduler_ref(ctx, packet)
    choice = _choose(ctx, point, ref, request, eligible)
    outcome = _outcome(members, verdicts, choice)
    table = verdict_table(members, verdicts, choice)
    winner = None if choice is None else ctx.state.members[choice.member_id]
    verdict = None if winner is None else verdicts[members.index(winner)]
    decision = _decision(ctx, point, members, verdicts, eligible, ref, choice, table)
    escalations = _escalations(verdicts) if outcome == "escalated" else ()
    return Placement(outcome, decision, table, winner, verdict, escalations)


def _choose(
    ctx: Context, point: Point, ref: e.SchedulerRef, request: Request, eligible: Sequence[Member]
) -> Choice | None:
    """Ask the scheduler; at ``accept`` the target is chosen already and its room is reserved."""
    if not eligible:
        return None
    if point in {Point.ACCEPT, Point.RETAIN}:
        return Choice(eligible[0].member_id, 0)
    return checked_choose(ctx.tools.scheduler(ref), request, eligible)


def _with_kernel(
    request: Request, member: Member, verdict: Verdict, exclude: str | None, point: Point
) -> Verdict:
    """Add the kernel's own reasons: the owner is no target, and nobody takes more than fits."""
    extra: tuple[Reason, ...] = ()
    if member.member_id == exclude:
        extra = (reserved("lifecycle", f"{member.member_id} owns the packet already"),)
    elif point is not Point.ACCEPT and not fits(request, member):
        extra = (_capacity_reason(request, member),)
    if not extra:
        return verdict
    return combine((*verdict.reasons, *extra), verdict.obligations, verdict.shadow)


def _capacity_reason(request: Request, member: Member) -> Reason:
    for name, limit in sorted(member.capacity.items()):
        taken = member.used.get(name, 0) + request.demand.get(name, 0)
        if name == "tasks":
            taken = max(taken, (member.active + 1) * 1_000_000)
        if taken > limit:
            observed, bound = _plain(taken), _plain(limit)
            return reserved(
                "capacity", f"{name} would be {observed} of {bound}", observed=observed, bound=bound
            )
    return reserved("capacity", "no room")


def _plain(micro: int) -> str:
    return f"{micro / 1_000_000:g}"


def _outcome(
    members: Sequence[Member], verdicts: Sequence[Verdict], choice: Choice | None
) -> e.Outcome:
    if choice is not None:
        return "allowed"
    if not members:
        return "no_candidate"
    if any(v.outcome == "allow" for v in verdicts):
        return "no_capacity"  # the scheduler has a cap of its own
    if any(v.outcome == "escalate" for v in verdicts):
        return "escalated"
    if any(
        all(r.name == "pfgov:capacity" or r.effect == "escalate" for r in v.reasons)
        for v in verdicts
    ):
        return "no_capacity"
    return "denied"


def _escalations(verdicts: Sequence[Verdict]) -> tuple[Reason, ...]:
    """Return the escalations of the members that nothing else keeps out, each rule once."""
    found: dict[str, Reason] = {}
    for verdict in verdicts:
        if verdict.outcome == "escalate":
            for reason in verdict.reasons:
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


def verdict_table(
    members: Sequence[Member], verdicts: Sequence[Verdict], choice: Choice | None
) -> bytes:
    """Return the verdict table: one row a member, with every reason, score and load, as canonical JSON."""
    scores = dict(choice.scores) if choice is not None else {}
    return ENCODE(
        [
            (
                member.member_id,
                verdict.outcome,
                member.active,
                scores.get(member.member_id),
                [
                    (r.name, r.effect, r.cause, r.message, r.observed, r.bound, r.missing)
                    for r in verdict.reasons
                ],
            )
            for member, verdict in zip(members, verdicts, strict=True)
        ]
    )


def _decision(
    ctx: Context,
    point: Point,
    members: Sequence[Member],
    verdicts: Sequence[Verdict],
    eligible: Sequence[Member],
    ref: e.SchedulerRef,
    choice: Choice | None,
    table: bytes,
) -> e.Decision:
    rejected = Counter(r.name for v in verdicts for r in v.reasons)
    shadow = Counter(r.name for v in verdicts for r in v.shadow)
    scheduler = ctx.tools.scheduler(ref)
    return e.Decision(
        point=point.value,
        policy=ctx.state.policy or "",
        considered=len(members),
        eligible=len(eligible),
        rejected=tuple(sorted(rejected.items()))[:REJECTED_RULES_MAX],
        shadow=tuple(sorted(shadow.items()))[:REJECTED_RULES_MAX],
        scheduler=e.SchedulerRef(
            name=scheduler.name, version=scheduler.version, parameters=scheduler.parameters
        ),
        score=choice.score if choice else None,
        runner_up=choice.runner_up if choice else None,
        runner_up_score=choice.runner_up_score if choice else None,
        nearest=_nearest(members, verdicts, choice),
        table=hashlib.sha256(table).hexdigest(),
    )


def _nearest(
    members: Sequence[Member], verdicts: Sequence[Verdict], choice: Choice | None
) -> tuple[e.Loser, ...]:
    """Return the members that came closest: fewest reasons first, then the higher score, then the id."""
    scores = dict(choice.scores) if choice is not None else {}
    won = choice.member_id if choice is not None else None
    ranked = sorted(
        (len(v.reasons), -scores.get(m.member_id, 0), m.member_id, i)
        for i, (m, v) in enumerate(zip(members, verdicts, strict=True))
        if m.member_id != won
    )[:NEAREST_LOSERS_MAX]
    return tuple(
        e.Loser(
            member_id=member_id,
            reasons=tuple(r.name for r in verdicts[i].reasons[:REASONS_PER_LOSER_MAX]),
            score=scores.get(member_id),
        )
        for _, _, member_id, i in ranked
    )


def view_for(
    packet: Packet, obligations: Sequence[Obligation], views: Sequence[View]
) -> View | None:
    """Return the view of the context that *obligations* leave to the new owner, or None for the whole.

    Raises:
        NeedsViewError: nobody has committed to it yet.
    """
    paths = tuple(sorted({path for o in obligations if o.type == "redact" for path in o.paths}))
    if not paths or packet.context is None:
        return None
    for view in views:
        if view.paths == paths:
            return view
    raise NeedsViewError(paths, packet.context)
