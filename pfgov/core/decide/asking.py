"""How policy is asked: the set in force, and facts in the form and to the extent that it reads them.

Whatever asks policy makes its question here, so that every point is asked with the same facts.  A set that is older
than a fact does not get it: what it printed of a whole record it still prints when its history is run again.
"""

from typing import Any, Final

from pfgov.core.decide.context import MEMO_MAX, Context
from pfgov.core.judging import member_facts, member_load, packet_facts, principal_facts, terms_facts
from pfgov.core.policy_port import Facts, PolicyJudge, Question
from pfgov.core.quantity import to_float
from pfgov.core.records import Member, Packet
from pfgov.core.verdicts import Point

WHO_SINCE: Final = 2
"""The semantics of sets since which facts say who submitted, who reviewed, and for whom the asker may act."""

SCANS_SINCE: Final = 3
"""The semantics of sets since which facts say which detectors looked through the context."""

_SINCE: Final = {
    "submitted_by": WHO_SINCE,
    "reviews": WHO_SINCE,
    "reviewed_for": WHO_SINCE,
    "scanned_by": SCANS_SINCE,
}


def active_policy(ctx: Context) -> PolicyJudge:
    """Return the compiled set in force; the kernel alone where none was ever activated."""
    return ctx.tools.policies(ctx.state.policy or "")


def facts_of(ctx: Context, member: Member, *, load: bool) -> Facts:
    """Return *member*'s facts now: load refreshed where a policy reads it, an expired trust left out."""
    facts = ctx.state.facts.get(member.member_id)
    if facts is None:
        labels = active_policy(ctx).labels
        facts = ctx.state.facts[member.member_id] = member_facts(member, labels)
    elif load:
        facts["load"] = member_load(member)
        facts["reliability"] = to_float(member.reliability)
    if ctx.state.expiring:
        trust = member.attested
        if trust is not None and trust.expires_at is not None and ctx.now >= trust.expires_at:
            return {name: fact for name, fact in facts.items() if name != "trust_score"}
    return facts


def facts_as(ctx: Context, member: Member) -> dict[str, Any]:
    """Return the facts of *member* as it would be: not of the one in the state."""
    facts = member_facts(member, active_policy(ctx).labels)
    trust = member.attested
    if trust is not None and trust.expires_at is not None and ctx.now >= trust.expires_at:
        facts.pop("trust_score", None)
    return facts


def facts_of_packet(ctx: Context, policy: PolicyJudge, packet: Packet) -> Facts:
    """Return *packet*'s facts as *policy* reads them."""
    facts = packet_facts(packet, _terms_facts(ctx, policy, packet))
    if policy.semantics < SCANS_SINCE:
        return {n: fact for n, fact in facts.items() if policy.semantics >= _SINCE.get(n, 1)}
    return facts


def _terms_facts(ctx: Context, policy: PolicyJudge, packet: Packet) -> dict[str, Any]:
    key = (policy.digest, packet.terms)
    cached = ctx.tools.terms.get(key)
    if cached is None:
        if len(ctx.tools.terms) >= MEMO_MAX:
            ctx.tools.terms.clear()
        cached = ctx.tools.terms[key] = terms_facts(packet.terms, policy.labels)
    return cached


def question_of(
    ctx: Context,
    policy: PolicyJudge,
    point: Point,
    *,
    packet: Packet | None = None,
    source: Member | None = None,
    reason: str = "",
    more: dict[str, Facts] | None = None,
) -> Question:
    """Return the question of the command at *point*."""
    principal = principal_facts(ctx.command.principal)
    if policy.semantics < WHO_SINCE:
        principal = {"id": principal["id"], "rights": principal["rights"]}
    return Question(
        point=point,
        action=point.value,
        packet=None if packet is None else facts_of_packet(ctx, policy, packet),
        source=None if source is None else facts_of(ctx, source, load=point in policy.reads_load),
        principal=principal,
        reason=reason,
        now=ctx.now,
        more=more or {},
    )
