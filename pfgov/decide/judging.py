"""Policy's verdict on every member, settled with what is on record, and remembered where that is exact.

A list of verdicts with all that is derived from it (who is allowed, how often each rule rejected, the text of the
verdict table) is one :class:`Judged`.  Where no clause reads what changes from packet to packet, equal questions have
equal answers until the fleet changes, and the whole is looked up instead of computed: memory of this kind can make a
decision faster, never different.  This module knows nothing of capacity or schedulers.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import nsmallest
from typing import Final

from pfgov import events as e
from pfgov.decide.context import MEMO_MAX, Context
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
from pfgov.quantity import to_float
from pfgov.records import ENCODE, Member, Packet
from pfgov.verdicts import Point, Reason, Verdict, combine, reserved

PLACE: Final = "place"
"""A review at one of assign, handoff, accept holds for all three: policies say ``on: [place]`` for them."""

_PLACING: Final = frozenset({Point.ASSIGN, Point.HANDOFF, Point.ACCEPT})
_CARRIED_OUT: Final = frozenset({"redact", "notify"})

Counts = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts and what follows from them.

    Attributes:
        members: Who was judged, in id order.
        verdicts: One for each.
        open: Indices of those that nothing denies.
        allowed: Indices of those that may own the packet.
        rejected: How often each rule kept somebody out, by name.
        shadow: How often each shadowed rule would have.
        losers: The nearest of those that may not.
        rows: For each member the text of its row before and after its load and score.
    """

    members: Sequence[Member]
    verdicts: Sequence[Verdict]
    open: tuple[int, ...]
    allowed: tuple[int, ...]
    rejected: Counts
    shadow: Counts
    losers: tuple[e.Loser, ...]
    rows: tuple[tuple[str, str], ...]

    def table(self, scores: dict[str, int]) -> bytes:
        """Return the verdict table: one row a member, ``[id, outcome, active, score, reasons]``, canonical JSON."""
        parts = [
            f"{before}{member.active},{scores.get(member.member_id, 'null')}{after}"
            for member, (before, after) in zip(self.members, self.rows, strict=True)
        ]
        return f"[{','.join(parts)}]".encode()

    def amended(self, changes: dict[int, Verdict]) -> "Judged":
        """Return the same with some verdicts replaced."""
        verdicts = list(self.verdicts)
        for index, verdict in changes.items():
            verdicts[index] = verdict
        return summed_up(self.members, verdicts)


@dataclass(slots=True)
class _Kind:
    """One verdict that several members share, and what is said of each of them."""

    verdict: Verdict
    count: int
    after: str

    @classmethod
    def of(cls, verdict: Verdict) -> "_Kind":
        """Return what *verdict* says, written out once."""
        told = [
            (r.name, r.effect, r.cause, r.message, r.observed, r.bound, r.missing)
            for r in verdict.reasons
        ]
        return cls(verdict, 0, f",{ENCODE(told).decode()}]" if told else ",[]]")


def summed_up(members: Sequence[Member], verdicts: Sequence[Verdict]) -> Judged:
    """Return what follows from *verdicts* on *members*; policy shares equal verdicts, so most is said once a kind."""
    kinds: dict[int, _Kind] = {}
    rows: list[tuple[str, str]] = []
    kept_out: list[tuple[int, str, int]] = []
    is_open: list[int] = []
    allowed: list[int] = []
    for index, (member, verdict) in enumerate(zip(members, verdicts, strict=True)):
        kind = kinds.get(id(verdict))
        if kind is None:
            kind = kinds[id(verdict)] = _Kind.of(verdict)
        kind.count += 1
        outcome = verdict.outcome
        if outcome != "deny":
            is_open.append(index)
        if outcome == "allow":
            allowed.append(index)
        else:
            kept_out.append((len(verdict.reasons), member.member_id, index))
        rows.append((f'["{member.member_id}","{outcome}",', kind.after))
    return Judged(
        members=members,
        verdicts=verdicts,
        open=tuple(is_open),
        allowed=tuple(allowed),
        rejected=_counts((kind.verdict.reasons, kind.count) for kind in kinds.values()),
        shadow=_counts((kind.verdict.shadow, kind.count) for kind in kinds.values()),
        losers=tuple(
            e.Loser(
                member_id=member_id,
                reasons=tuple(r.name for r in verdicts[index].reasons[:REASONS_PER_LOSER_MAX]),
            )
            for _, member_id, index in nsmallest(NEAREST_LOSERS_MAX, kept_out)
        ),
        rows=tuple(rows),
    )


def _counts(groups: Iterable[tuple[tuple[Reason, ...], int]]) -> Counts:
    counted: Counter[str] = Counter()
    for reasons, count in groups:
        for reason in reasons:
            counted[reason.name] += count
    return tuple(sorted(counted.items()))[:REJECTED_RULES_MAX]


def review_point(point: Point) -> str:
    """Return the point that a review asked for at *point* holds for."""
    return PLACE if point in _PLACING else point.value


def active_policy(ctx: Context) -> PolicySet:
    """Return the compiled set in force; the kernel alone where none was ever activated."""
    return ctx.tools.policies(ctx.state.policy or "")


def facts_of(ctx: Context, member: Member, *, load: bool) -> Facts:
    """Return *member*'s facts now: load refreshed where a policy reads it, an expired trust left out."""
    facts = ctx.state.facts.get(member.member_id)
    if facts is None:
        facts = ctx.state.facts[member.member_id] = member_facts(member)
    elif load:
        facts["load"] = member_load(member)
        facts["reliability"] = to_float(member.reliability)
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
) -> Judged:
    """Return policy's verdict on each of *members*, without what reviews on record discharge."""
    policy = active_policy(ctx)
    key = _memo_key(ctx, policy, packet, point, members, source, reason)
    if key is not None and (known := ctx.tools.judged.get(key)) is not None:
        return known
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
    facts = [facts_of(ctx, member, load=load) for member in members]
    found = policy.judge(question, facts, validated=True)
    verdicts = _all_settled(ctx, packet, point, members, found)
    judged = summed_up(members, verdicts)
    if key is not None:
        if len(ctx.tools.judged) >= MEMO_MAX:
            ctx.tools.judged.clear()
        ctx.tools.judged[key] = judged
    return judged


def _memo_key(
    ctx: Context,
    policy: PolicySet,
    packet: Packet,
    point: Point,
    members: Sequence[Member],
    source: Member | None,
    reason: str,
) -> object | None:
    """Return a key under which equal questions about the whole roster have equal answers, or None."""
    state = ctx.state
    if state.expiring or packet.reviews or members is not state.roster():
        return None
    if not _reads_only_terms(policy, point):
        return None
    came_from = source.member_id if source is not None else None
    return (policy.digest, point, packet.terms, state.fleet, came_from, reason)


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


def _all_settled(
    ctx: Context, packet: Packet, point: Point, members: Sequence[Member], found: Sequence[Verdict]
) -> list[Verdict]:
    """Settle each verdict; without a review on record it does not matter whose it is: equal ones are settled once."""
    settled: dict[int, Verdict] = {}
    verdicts: list[Verdict] = []
    for member, verdict in zip(members, found, strict=True):
        if not verdict.reasons and not verdict.obligations:
            verdicts.append(verdict)
        elif packet.reviews:
            verdicts.append(_settled(ctx, packet, point, member, verdict))
        else:
            if id(verdict) not in settled:
                settled[id(verdict)] = _settled(ctx, packet, point, member, verdict)
            verdicts.append(settled[id(verdict)])
    return verdicts


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
