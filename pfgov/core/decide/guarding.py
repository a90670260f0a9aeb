"""Guarding points: who may submit, change, review, complete, and activate, where a policy says something about it.

Rights are asked first; a policy narrows them.  What it does not allow is refused, nothing of it happens, and the denial
is on record: once while the set is binding, and of one principal so many in an hour, so that nobody fills a ledger with
them; other refusals that are recorded are counted with them.  The engine's own follow-ups are not asked: they carry
out what was.  Names and labels are held to their one spelling and to their declarations here, too, so that no door
leads around them.
"""

from typing import Final

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.apply.ledger import DENIALS_RECORDED, denial_digest
from pfgov.core.commands.parts import ACTS_FOR
from pfgov.core.decide.asking import active_policy, facts_of_packet, question_of
from pfgov.core.decide.context import Context, Decided
from pfgov.core.policy_port import Facts
from pfgov.core.records import Member, Packet
from pfgov.core.spelling import (
    check_class,
    check_dimension,
    check_name,
    check_recorded_label,
    check_region,
)  # fmt: skip
from pfgov.core.verdicts import Point, Reason, Verdict
from pfgov.errors import ForbiddenError, InvalidError, PfgovError
from pfgov.limits import DENIALS_PER_HOUR_MAX, MICRO, REASONS_MAX

HOUR: Final = 3_600 * MICRO

ONE_SPELLING: Final = 4
"""The rules since which names have one spelling, and labels are set and changed by those who may."""

DIMENSIONS_SPELT: Final = 5
"""The rules since which resource dimensions have one spelling, too."""


class PolicyDeniedError(PfgovError):
    """Policy does not allow it.  ``rules`` names those that do not."""

    code = "policy.denied"
    event: e.PolicyDenied | None = None
    """What there is to record of it; nothing where it is recorded otherwise, or nothing is written."""
    rules: tuple[str, ...] = ()


def denied(what: str, verdict: Verdict) -> PolicyDeniedError:
    """Return the refusal that *verdict* makes of *what*."""
    first: Reason = verdict.reasons[0]
    error = PolicyDeniedError(
        f"policy {what}: {first.message or first.name}",
        hint=f"the rule is {first.name}; see it with: pfgov policy show",
    )
    error.rules = tuple(reason.name for reason in verdict.reasons)
    return error


def guard(
    ctx: Context,
    point: Point,
    *,
    packet: Packet | None = None,
    member: Facts | None = None,
    source: Member | None = None,
    more: dict[str, Facts] | None = None,
) -> None:
    """Refuse what the policy in force does not allow at *point*; what none covers is left to rights.

    Raises:
        PolicyDeniedError: it does not allow it.
    """
    policy = active_policy(ctx)
    if point not in policy.guards or ctx.is_follow_up:
        return
    question = question_of(ctx, policy, point, packet=packet, source=source, more=more)
    verdict = policy.judge_one(question, member, validated=True)
    if verdict.outcome != "allow":
        refusal = denied(f"does not allow {_DONE[point]}", verdict)
        refusal.event = e.PolicyDenied(
            principal=ctx.command.principal.id,
            point=point.value,
            about=_about(packet, member),
            policy=policy.digest,
            reasons=tuple(reason.name for reason in verdict.reasons[:REASONS_MAX]),
        )
        raise refusal


def _about(packet: Packet | None, member: Facts | None) -> str:
    """Return the subject that a guarding point was asked about."""
    if packet is not None:
        return f"packet/{packet.packet_id}"
    return "policy" if member is None else f"member/{member['id']}"


def recorded_denial(ctx: Context, refusal: PolicyDeniedError) -> Decided:
    """Return what is recorded of *refusal*: nothing where the same is on record, or enough of this principal is.

    Raises:
        PolicyDeniedError: nothing is to be recorded.
    """
    event = refusal.event
    if event is None or ctx.state.semantics < DENIALS_RECORDED:
        raise refusal
    what = denial_digest(event)
    own = [one for one in ctx.state.denials if one.principal == event.principal]
    if any(one.what == what for one in own):
        raise refusal
    return while_few(ctx, Decided([event], refusal))


def while_few(ctx: Context, decided: Decided) -> Decided:
    """Return what records a refusal, while there are not too many of this principal: then nothing is recorded.

    Raises:
        PfgovError: the refusal, without an entry.
    """
    if ctx.state.semantics < DENIALS_RECORDED:
        return decided
    whose = ctx.command.principal.id
    lately = sum(one.principal == whose and one.at > ctx.now - HOUR for one in ctx.state.denials)
    if lately < DENIALS_PER_HOUR_MAX:
        return decided
    if decided.refusal is not None:
        raise decided.refusal
    return Decided([])


_DONE: Final = {
    Point.SUBMIT: "submitting this packet",
    Point.UPDATE: "this change of the packet",
    Point.UPDATE_MEMBER: "this change of the member",
    Point.REVIEW: "this review",
    Point.COMPLETE: "completing this packet",
    Point.ACTIVATE: "activating this policy set",
    Point.EXPORT: "this export",
}


def before_packet(ctx: Context, packet: Packet) -> dict[str, Facts]:
    """Return the fact ``before`` of a packet that would be changed."""
    return {"before": facts_of_packet(ctx, active_policy(ctx), packet)}


# --- labels and names ---------------------------------------------------------------------------------------------


def check_packet_names(ctx: Context, do: c.SubmitPacket | c.UpdatePacket) -> None:
    """Refuse names of a packet that are not in their one spelling.

    Raises:
        InvalidError: one is not.
    """
    if ctx.state.semantics < ONE_SPELLING:
        return
    if isinstance(do, c.SubmitPacket):
        check_name(do.workload_type, "/workload_type")
    for index, name in enumerate(do.data_classes or ()):
        check_class(name, f"/data_classes/{index}")
    regions = do.constraints.allowed_regions if do.constraints is not None else None
    for index, name in enumerate(regions or ()):
        check_region(name, f"/policy_constraints/allowed_regions/{index}")
    for index, name in enumerate(do.required_capabilities or ()):
        check_name(_bare(name), f"/required_capabilities/{index}")
    _check_values(do.labels)
    _check_dimensions(ctx, do.demand, "/demand")


def _bare(requirement: str) -> str:
    for at, character in enumerate(requirement):
        if character in "<>=!~":
            return requirement[:at]
    return requirement


def check_member_names(ctx: Context, do: c.RegisterMember | c.UpdateMember) -> None:
    """Refuse names of a member that are not in their one spelling.

    Raises:
        InvalidError: one is not.
    """
    if ctx.state.semantics < ONE_SPELLING:
        return
    for index, name in enumerate(do.clearances or ()):
        check_class(name, f"/clearances/{index}")
    if do.region is not None:
        check_region(do.region, "/region")
    offered = do.capabilities if isinstance(do, c.RegisterMember) else do.discovered
    for index, offer in enumerate(offered):
        check_name(offer.name, f"/capabilities/{index}/name")
    _check_values(do.labels)
    _check_dimensions(ctx, do.capacity, "/capacity")


def _check_dimensions(ctx: Context, amounts: c.Pairs | None, pointer: str) -> None:
    """Refuse ``GPU`` beside ``gpu``: what is demanded of the one fits a member that offers little of the other."""
    for name, _ in (amounts or ()) if ctx.state.semantics >= DIMENSIONS_SPELT else ():
        check_dimension(name, f"{pointer}/{name}")


def _check_values(labels: c.Pairs | None) -> None:
    for name, value in labels or ():
        check_recorded_label(value, f"/labels/{name}")


def check_packet_labels(ctx: Context, before: c.Pairs | None, after: c.Pairs | None) -> None:
    """Refuse labels of a packet that the principal may not set, or not so.

    Raises:
        InvalidError, ForbiddenError: the declaration says why.
    """
    _check_labels(ctx, "packet", before, after, None)


def check_member_labels(
    ctx: Context, member_id: str, before: c.Pairs | None, after: c.Pairs | None
) -> None:
    """Refuse labels of a member that the principal may not set, or not so.

    Raises:
        InvalidError, ForbiddenError: the declaration says why.
    """
    _check_labels(ctx, "member", before, after, member_id)


def _check_labels(
    ctx: Context, owner: str, before: c.Pairs | None, after: c.Pairs | None, member_id: str | None
) -> None:
    if after is None or ctx.state.semantics < ONE_SPELLING:
        return
    found = active_policy(ctx).labels.refusal(
        "packet" if owner == "packet" else "member",
        None if before is None else dict(before),
        dict(after),
        _setters(ctx, member_id),
    )
    if found is None:
        return
    pointer, said = f"/labels/{found.name}", f"the label {found.name} {found.why}"
    if found.is_value:
        raise InvalidError(said, code="label.value", pointer=pointer)
    raise ForbiddenError(
        said,
        code="label.forbidden",
        pointer=pointer,
        hint="see who sets which label: pfgov policy show --source",
    )


def _setters(ctx: Context, member_id: str | None) -> frozenset[str]:
    """Return the rights that count for a label: an operator has the submitter's, and ``member`` is who acts for it."""
    rights = set(ctx.command.principal.rights)
    if not {"operator", "engine"}.isdisjoint(rights):
        rights |= {"operator", "submitter", "member"}
    if member_id is not None and f"{ACTS_FOR}{member_id}" in rights:
        rights.add("member")
    return frozenset(rights)
