"""Reviews: asking for them, giving them, and letting them expire.

A review discharges what policy escalated, for the version of the packet that was looked at.  It moves nothing: after it
the whole pipeline runs again.
"""

from typing import Final

import msgspec

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide.context import Context, Decided
from pfgov.core.decide.granting import not_by_the_owner, not_for_its_own
from pfgov.core.decide.grants import (
    BOUND_TO_FACTS,
    PLACE,
    Reads,
    Standing,
    candidate_now,
    reads_of,
    seen_now,
    source_of,
)
from pfgov.core.decide.guarding import guard
from pfgov.core.decide.judging import judge
from pfgov.core.policy_port import Facts
from pfgov.core.records import Packet, ReviewRequest
from pfgov.core.verdicts import Point
from pfgov.errors import ForbiddenError, InvalidError, StateConflictError
from pfgov.limits import REVIEW_CANDIDATES_MAX, REVIEW_FACTS_MAX

EXPIRED_AT_ONCE: Final = 2
"""The rules since which a request that has expired takes no review, whether or not a tick has noticed."""


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
    not_by_the_owner(ctx, packet)
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
    if do.granted:
        not_for_its_own(ctx, member_id)
    ctx.ahead("expires_at", do.expires_at, "the review would have expired already")
    if ctx.state.semantics >= BOUND_TO_FACTS:
        return Decided([_looked_at(ctx, do, packet, request, member_id)])
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


def _looked_at(
    ctx: Context, do: c.ReviewPacket, packet: Packet, request: ReviewRequest, member_id: str | None
) -> e.ReviewRecorded:
    """Return the review of the version that was looked at, with the facts for which it holds."""
    if do.version is None and do.granted:
        raise InvalidError(
            f"a review is granted for the version that was looked at; {do.packet_id} is at version {packet.version}",
            code="review.version",
            pointer="/version",
            hint=f"look at it: pfgov packet show {do.packet_id}; then name the version",
        )
    if do.version is not None and do.version != packet.version:
        raise StateConflictError(
            f"packet {do.packet_id} is at version {packet.version}, and version {do.version} was looked at",
            code="review.stale",
            hint=f"it changed: look at it again: pfgov packet show {do.packet_id}",
        )
    principal, source = ctx.command.principal, source_of(ctx, packet)
    guard(ctx, Point.REVIEW, packet=packet, source=source, more=_facts(do, request, member_id))
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
        reviewed_for=principal.members,
    )
    if not do.granted:
        return recorded
    others = _others(ctx, packet, request, member_id)
    if principal.id in others and request.approvals > 1:
        raise StateConflictError(
            f"{principal.id} has granted this already, and {request.approvals} different principals are asked",
            code="review.twice",
            hint="somebody else has to look, too",
        )
    reads = reads_of(ctx, request.rules, request.point)
    seen = seen_now(ctx, reads, packet, source)
    if (
        len(seen) > REVIEW_FACTS_MAX
    ):  # the entry names each of them and has to stay within its bound
        raise StateConflictError(
            f"the rules to be reviewed read {len(seen)} facts, and a review holds for {REVIEW_FACTS_MAX}",
            code="review.too_many_facts",
            hint="let the rules that escalate read fewer labels: pfgov policy show",
        )
    return msgspec.structs.replace(
        recorded,
        version=packet.version,
        seen=tuple(sorted(seen.items())),
        candidates=_candidates(ctx, reads, packet, request, member_id),
        remaining=max(request.approvals - len(others | {principal.id}), 0),
    )


def _facts(do: c.ReviewPacket, request: ReviewRequest, member_id: str | None) -> dict[str, Facts]:
    facts: dict[str, object] = {
        "granted": do.granted,
        "point": request.point,
        "rules": [f"{rule.policy}/{rule.rule}" for rule in request.rules],
        "approvals": request.approvals,
    }
    if member_id is not None:
        facts["member"] = member_id
    return {"review": facts}


def _point(ctx: Context, packet: Packet, request: ReviewRequest) -> Point:
    if request.point != PLACE:
        return Point(request.point)
    return Point.ASSIGN if source_of(ctx, packet) is None else Point.HANDOFF


def _others(
    ctx: Context, packet: Packet, request: ReviewRequest, member_id: str | None
) -> set[str]:
    """Return who has granted all of *request* already, for the facts as they are now."""
    standing = Standing(ctx, packet, _point(ctx, packet, request), source_of(ctx, packet))
    members = [m for m in ctx.state.roster() if member_id in {None, m.member_id}]
    if not members:
        return set()
    found = [
        {r.reviewer for r in standing.in_force(members[0], rule.policy, rule.rule)}
        for rule in request.rules
    ]
    everybody = {who for granted in found for who in granted}
    return {who for who in everybody if all(who in granted for granted in found)}


def _candidates(
    ctx: Context, reads: Reads, packet: Packet, request: ReviewRequest, member_id: str | None
) -> c.Pairs:
    """Return what was seen of each candidate whose facts the rules read: of all that only a review keeps out."""
    if not reads.member:
        return ()
    if member_id is not None:
        return ((member_id, candidate_now(ctx, reads, ctx.state.members[member_id])),)
    judged = judge(
        ctx,
        packet,
        _point(ctx, packet, request),
        ctx.state.roster(),
        source=source_of(ctx, packet),
        reason="reviewed",
    )
    waiting = [judged.members[i] for i in judged.open if judged.verdict(i).outcome == "escalate"]
    return tuple(
        (member.member_id, candidate_now(ctx, reads, member))
        for member in waiting[:REVIEW_CANDIDATES_MAX]
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
