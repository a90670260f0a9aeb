"""Policy's verdict on every member, settled with what is on record, and remembered where that is exact.

Verdicts with all that is derived from them (who is allowed, how often each rule rejected, the text of the verdict
table) are one :class:`Judged`; members of one kind share a verdict, and most is worked out once a kind.  Where no
clause reads what changes from packet to packet, equal questions have equal answers until the fleet changes, and the
whole is looked up instead of computed: memory of this kind can make a decision faster, never different.
This module knows nothing of capacity or schedulers.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final

import msgspec

from pfgov import events as e
from pfgov.decide.context import MEMO_MAX, TOLD_MAX, Context, Told
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
from pfgov.policy import Fleet, Kinds, PolicySet, Question
from pfgov.quantity import to_float
from pfgov.records import ENCODE, Member, Packet
from pfgov.verdicts import Point, Reason, Verdict, combine, reserved

PLACE: Final = "place"
"""A review at one of assign, handoff, accept holds for all three: policies say ``on: [place]`` for them."""

_PLACING: Final = frozenset({Point.ASSIGN, Point.HANDOFF, Point.ACCEPT})
_CARRIED_OUT: Final = frozenset({"redact", "notify"})

Counts = tuple[tuple[str, int], ...]

_UNSCORED: Final = ",null"

FLEET_FROM: Final = 8
"""Members from which on they are judged by class rather than one by one."""


class Kind(msgspec.Struct, frozen=True, gc=False):
    """One verdict, and what is said of each member that shares it.

    Attributes:
        verdict: The verdict.
        before: What stands in a row of the verdict table between the member's id and its load.
        after: What stands there behind its load, for a member without a score.
    """

    verdict: Verdict
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts and what follows from them.

    Attributes:
        members: Who was judged, in id order.
        kinds: Every verdict that one of them got; perhaps some that nobody got.
        of: For each member the number of its kind.
        open: Indices of those that nothing denies.
        allowed: Indices of those that may own the packet.
        rejected: How often each rule kept somebody out, by name.
        shadow: How often each shadowed rule would have.
        losers: The nearest of those that may not.
    """

    members: Sequence[Member]
    kinds: Sequence[Kind]
    of: Sequence[int]
    open: tuple[int, ...]
    allowed: tuple[int, ...]
    rejected: Counts
    shadow: Counts
    losers: tuple[e.Loser, ...]

    def verdict(self, index: int) -> Verdict:
        """Return the verdict on one member."""
        return self.kinds[self.of[index]].verdict

    def table(self, scores: dict[str, int]) -> bytes:
        """Return the verdict table: one row a member, ``[id, outcome, active, score, reasons]``, canonical JSON."""
        before = [kind.before for kind in self.kinds]
        after = [kind.after for kind in self.kinds]
        rows = [
            f'["{member.member_id}{before[number]}{member.active}{after[number]}'
            for member, number in zip(self.members, self.of, strict=True)
        ]
        for index in self.allowed if scores else ():
            member, number = self.members[index], self.of[index]
            score = scores.get(member.member_id)
            if score is not None:
                rest = f"{member.active},{score}{after[number].removeprefix(_UNSCORED)}"
                rows[index] = f'["{member.member_id}{before[number]}{rest}'
        return f"[{','.join(rows)}]".encode()

    def amended(self, changes: dict[int, Verdict], told: Told) -> "Judged":
        """Return the same with some verdicts replaced."""
        kinds, of, numbers = list(self.kinds), list(self.of), dict[int, int]()
        for index, verdict in changes.items():
            number = numbers.setdefault(id(verdict), len(kinds))
            if number == len(kinds):
                kinds.append(kind_of(verdict, told))
            of[index] = number
        return summed_up(self.members, kinds, of)


def kind_of(verdict: Verdict, told: Told) -> Kind:
    """Return what *verdict* says, written out once; *told* remembers the texts of reasons."""
    texts = [(told.get(id(r)) or _remembered(r, told))[1] for r in verdict.reasons]
    return Kind(verdict, f'","{verdict.outcome}",', f"{_UNSCORED},[{','.join(texts)}]]")


def _remembered(reason: Reason, told: Told) -> tuple[Reason, str]:
    if len(told) >= TOLD_MAX:
        told.clear()
    known = told[id(reason)] = (reason, _text(reason))
    return known


def _text(r: Reason) -> str:
    told = (r.name, r.effect, r.cause, r.message, r.observed, r.bound, r.missing)
    return ENCODE(told).decode()


def summed_up(members: Sequence[Member], kinds: Sequence[Kind], of: Sequence[int]) -> Judged:
    """Return what follows from the *kinds* of *members*; most is said once a kind."""
    outcomes = [kind.verdict.outcome for kind in kinds]
    counts = sorted(Counter(of).items())
    held = [(kinds[number].verdict, count) for number, count in counts]
    is_open = tuple([at for at, number in enumerate(of) if outcomes[number] != "deny"])
    allowed = tuple([at for at in is_open if outcomes[of[at]] == "allow"])
    return Judged(
        members=members,
        kinds=kinds,
        of=of,
        open=is_open,
        allowed=allowed,
        rejected=_counts((verdict.reasons, count) for verdict, count in held),
        shadow=_counts((verdict.shadow, count) for verdict, count in held if verdict.shadow),
        losers=_losers(members, kinds, of),
    )


def of_verdicts(members: Sequence[Member], verdicts: Sequence[Verdict], told: Told) -> Judged:
    """Return what follows from one verdict for each of *members*."""
    found = shared_kinds(verdicts)
    return summed_up(members, [kind_of(verdict, told) for verdict in found.verdicts], found.of)


def _losers(
    members: Sequence[Member], kinds: Sequence[Kind], of: Sequence[int]
) -> tuple[e.Loser, ...]:
    """Return those of whom the fewest reasons keep out, the first by id among equals."""
    faults = [0 if kind.verdict.outcome == "allow" else len(kind.verdict.reasons) for kind in kinds]
    counts = [faults[number] for number in of]
    nearest: list[int] = []
    for count in sorted(set(counts) - {0}):
        nearest += islice((at for at, n in enumerate(counts) if n == count), NEAREST_LOSERS_MAX)
        if len(nearest) >= NEAREST_LOSERS_MAX:
            break
    return tuple(
        e.Loser(
            member_id=members[at].member_id,
            reasons=tuple(r.name for r in kinds[of[at]].verdict.reasons[:REASONS_PER_LOSER_MAX]),
        )
        for at in nearest[:NEAREST_LOSERS_MAX]
    )


def _counts(groups: Iterable[tuple[tuple[Reason, ...], int]]) -> Counts:
    each: dict[int, int] = {}
    reasons: dict[int, Reason] = {}
    for found, count in groups:
        for reason in found:
            key = id(reason)
            if key in each:
                each[key] += count
            else:
                each[key] = count
                reasons[key] = reason
    counted: dict[tuple[str, str], int] = {}
    names: dict[tuple[str, str], str] = {}
    for key, reason in reasons.items():
        rule = (reason.policy, reason.rule)
        counted[rule] = counted.get(rule, 0) + each[key]
        if rule not in names:
            names[rule] = reason.name
    return tuple(sorted((names[rule], count) for rule, count in counted.items()))[
        :REJECTED_RULES_MAX
    ]


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
    if len(members) >= FLEET_FROM and members is ctx.state.roster():
        facts = _facts_of_all(ctx, members, load=load)
        found = _fleet(ctx, policy, point).kinds(question.shared(), facts)
    else:
        facts = [facts_of(ctx, member, load=load) for member in members]
        found = shared_kinds(policy.judge(question, facts, validated=True))
    settled = _settled_kinds(ctx, packet, point, members, found)
    kinds = [kind_of(verdict, ctx.tools.told) for verdict in settled.verdicts]
    judged = summed_up(members, kinds, settled.of)
    if key is not None:
        ctx.tools.remember(key, judged)
    return judged


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


def shared_kinds(verdicts: Sequence[Verdict]) -> Kinds:
    """Return *verdicts* with each that several members share said once."""
    numbers: dict[int, int] = {}
    of = [numbers.setdefault(id(verdict), len(numbers)) for verdict in verdicts]
    each = dict(zip(of, verdicts, strict=True))
    return Kinds(list(each.values()), of)


def _fleet(ctx: Context, policy: PolicySet, point: Point) -> Fleet:
    fleets = ctx.tools.fleets
    known = fleets.get(point)
    if known is None or known[0] != policy.digest:
        known = fleets[point] = (policy.digest, policy.fleet(point))
    return known[1]


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


def _settled_kinds(
    ctx: Context, packet: Packet, point: Point, members: Sequence[Member], found: Kinds
) -> Kinds:
    """Settle each verdict; without a review on record only obligations matter, and not whose the verdict is."""
    if packet.reviews:
        pairs = zip(members, found.each(), strict=True)
        return shared_kinds([_settled(ctx, packet, point, member, v) for member, v in pairs])
    first = dict(zip(reversed(found.of), reversed(members), strict=True))
    verdicts = [
        _settled(ctx, packet, point, first[number], verdict)
        if number in first and verdict.obligations
        else verdict
        for number, verdict in enumerate(found.verdicts)
    ]
    return Kinds(verdicts, found.of)


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
