"""Policy's verdict on every member, settled with what is on record, and remembered where that is exact.

Verdicts with all that is derived from them (who is allowed, how often each rule rejected, the text of the verdict
table) are one :class:`Judged`; members of one kind share a verdict, and most is worked out once a kind.  Where no
clause reads what changes from packet to packet, equal questions have equal answers until the fleet changes, and the
whole is looked up instead of computed: memory of this kind can make a decision faster, never different.
This module knows nothing of capacity or schedulers.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from pfgov.core.decide.asking import active_policy, facts_of, question_of
from pfgov.core.decide.context import Context, Follow, Followed
from pfgov.core.decide.grants import BOUND_TO_FACTS, Standing
from pfgov.core.judging import TERMS_FACTS, Judged, kind_of, shared_kinds, summed_up
from pfgov.core.lifecycle import MemberStatus
from pfgov.core.policy_port import Facts, FleetJudge, Kinds, PolicyJudge
from pfgov.core.records import Member, Packet
from pfgov.core.verdicts import Point, Verdict, combine

FOLLOWED_MAX: Final = 64
"""Decision points of policy sets for which is remembered what their verdicts depend on; then all are dropped."""

FLEET_FROM: Final = 8
"""Members from which on they are judged by class rather than one by one."""


def judge(
    ctx: Context,
    packet: Packet,
    point: Point,
    members: Sequence[Member],
    *,
    source: Member | None = None,
    reason: str = "",
) -> Judged:
    """Return policy's verdict on each of *members*, without what reviews on record discharge."""
    policy = active_policy(ctx)
    key = _memo_key(ctx, policy, packet, point, members, source, reason)
    if key is not None and (known := ctx.tools.judged.get(key)) is not None:
        return known
    load = point in policy.reads_load
    question = question_of(ctx, policy, point, packet=packet, source=source, reason=reason)
    if len(members) >= FLEET_FROM and members is ctx.state.roster():
        facts = _facts_of_all(ctx, members, load=load)
        found = _fleet(ctx, policy, point).kinds(question, facts)
    else:
        facts = [facts_of(ctx, member, load=load) for member in members]
        found = shared_kinds(policy.judge(question, facts, validated=True))
    settled = _settled_kinds(Standing(ctx, packet, point, source), members, found)
    kinds = [kind_of(verdict, ctx.tools.rendered) for verdict in settled.verdicts]
    judged = summed_up(members, kinds, settled.of, _gone(ctx, members))
    if key is not None:
        ctx.tools.remember(key, judged)
    return judged


LIVING_ARE_COUNTED: Final = 4
"""The rules since which what keeps a packet waiting is counted over the members that are still there."""

_DEAD: Final = frozenset({MemberStatus.FAILED, MemberStatus.RETIRED})


def _gone(ctx: Context, members: Sequence[Member]) -> Sequence[int]:
    """Return the indices of those of the whole roster that have failed or retired; none where all have."""
    state, tools = ctx.state, ctx.tools
    if state.semantics < LIVING_ARE_COUNTED or members is not state.roster():
        return ()
    fleet, gone = tools.gone
    if fleet != state.fleet:
        gone = tuple([at for at, member in enumerate(members) if member.status in _DEAD])
        gone = () if len(gone) == len(members) else gone
        tools.gone = (state.fleet, gone)
    return gone


def _facts_of_all(ctx: Context, members: Sequence[Member], *, load: bool) -> Sequence[Facts]:
    """Return the facts of the whole roster; where neither a load is read nor a trust expires they last."""
    state, tools = ctx.state, ctx.tools
    if load or state.expiring:
        return [facts_of(ctx, member, load=load) for member in members]
    fleet, facts = tools.facts
    if fleet != state.fleet:
        facts = tuple([facts_of(ctx, member, load=False) for member in members])
        tools.facts = (state.fleet, facts)
    return facts


def _fleet(ctx: Context, policy: PolicyJudge, point: Point) -> FleetJudge:
    fleets = ctx.tools.fleets
    known = fleets.get(point)
    if known is None or known[0] != policy.digest:
        known = fleets[point] = (policy.digest, policy.fleet(point))
    return known[1]


def _memo_key(
    ctx: Context,
    policy: PolicyJudge,
    packet: Packet,
    point: Point,
    members: Sequence[Member],
    source: Member | None,
    reason: str,
) -> object | None:
    """Return a key under which equal questions about the whole roster have equal answers, or None."""
    state = ctx.state
    if state.expiring or packet.reviews:
        return None
    known, asked = ctx.tools.followed, (policy.digest, point)
    if asked not in known:
        if len(known) >= FOLLOWED_MAX:
            known.clear()
        known[asked] = _followed(policy, point)
    followed = known[asked]
    if followed is None:
        return None
    whom = None
    if members is not state.roster():
        if len(members) != 1 or state.members.get(members[0].member_id) is not members[0]:
            return None
        whom = members[0].member_id
    came_from = source.member_id if source is not None else None
    more = [follow(ctx, packet) for follow in followed]
    return (policy.digest, point, packet.terms, state.fleet, whom, came_from, reason, *more)


_FOLLOWED: Final[Mapping[str, Follow]] = {
    "principal": lambda ctx, _: ctx.command.principal,
    "packet.handoff_count": lambda _, packet: packet.handoff_count,
    "packet.previous_owners": lambda _, packet: packet.owners,
    "packet.epoch": lambda _, packet: packet.epoch,
    "packet.step": lambda _, packet: packet.step,
    "packet.submitted_by": lambda _, packet: (packet.submitted_by, packet.submitted_for),
}
"""Facts of neither terms nor members that are the same for many packets, each with its value."""

_NONE_YET: Final = frozenset({"packet.reviews", "packet.reviewed_for"})
"""Facts that are empty for a packet without reviews."""


def _followed(policy: PolicyJudge, point: Point) -> Followed:
    """Return what the verdict depends on besides terms and members as they are; None where that is not followed."""
    if point in policy.reads_load or point in policy.reads_time:
        return None
    found: set[str] = set()
    for path in policy.reads[point]:
        root, _, rest = path.partition(".")
        if root == "packet" and rest.partition(".")[0] not in TERMS_FACTS:
            found.add(f"{root}.{rest.partition('.')[0]}")
        elif root == "principal":
            found.add(root)
    if not found <= _FOLLOWED.keys() | _NONE_YET:
        return None
    return tuple(_FOLLOWED[name] for name in sorted(found - _NONE_YET))


def _settled_kinds(standing: Standing, members: Sequence[Member], found: Kinds) -> Kinds:
    """Settle each verdict, where there is a review on record."""
    if not standing.packet.reviews:
        return found
    pairs = zip(members, found.each(), strict=True)
    return shared_kinds([_settled(standing, member, verdict) for member, verdict in pairs])


def _settled(standing: Standing, member: Member, verdict: Verdict) -> Verdict:
    """Return *verdict* without the escalations that a review discharges."""
    left = [
        reason if reason.effect != "escalate" else standing.settled(member, reason)
        for reason in verdict.reasons
    ]
    reasons = tuple(reason for reason in left if reason is not None)
    if reasons == verdict.reasons:
        return verdict
    return combine(reasons, verdict.obligations, verdict.shadow)


def reviews_used(
    ctx: Context,
    packet: Packet,
    point: Point,
    member: Member,
    *,
    source: Member | None = None,
    reason: str = "",
) -> tuple[int, ...]:
    """Return the positions of the reviews without which *member* would not be allowed at *point*."""
    if not packet.reviews or ctx.state.semantics < BOUND_TO_FACTS:
        return ()
    policy = active_policy(ctx)
    question = question_of(ctx, policy, point, packet=packet, source=source, reason=reason)
    facts = facts_of(ctx, member, load=True)
    found = policy.judge(question, [facts], validated=True)[0]
    return Standing(ctx, packet, point, source).used(member, found.reasons)
