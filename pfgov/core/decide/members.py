"""Rules about members: joining, changing, leaving, failing, coming back.

Which status follows which is in :mod:`pfgov.core.lifecycle`; here is what else must hold.  What a change means for the
packets a member owns is not decided here but by follow-ups (:mod:`pfgov.core.decide.due`), one packet at a time.
"""

from typing import Any, Final, Literal

import msgspec

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide.asking import active_policy, facts_as, facts_of, question_of
from pfgov.core.decide.context import Context, Decided
from pfgov.core.decide.granting import may_vouch
from pfgov.core.decide.guarding import (
    check_member_labels,
    check_member_names,
    denied,
    guard,
    while_few,
)
from pfgov.core.judging import member_facts, of_verdicts
from pfgov.core.lifecycle import MemberStatus, member_after
from pfgov.core.quantity import from_text, to_text
from pfgov.core.records import Member, TrustScore
from pfgov.core.verdicts import UNDOABLE, Point, Verdict
from pfgov.errors import (
    ConflictError,
    DuplicateError,
    ForbiddenError,
    NotFoundError,
    TooLargeError,
)
from pfgov.limits import CAPABILITIES_MAX, MEMBERS_MAX, REASONS_MAX

REGISTRABLE = frozenset({MemberStatus.FAILED, MemberStatus.RETIRED})
"""A member in one of these comes back by registering: that is its next incarnation."""

NONE_ALIKE: Final = 5
"""The rules since which no two members on record look alike."""


def register(ctx: Context, do: c.RegisterMember) -> Decided:
    """Let a member join, or come back, if policy at ``register`` allows it."""
    ctx.authorise(do, do.member_id)
    before = ctx.state.members.get(do.member_id)
    if before is not None and before.status not in REGISTRABLE:
        raise DuplicateError(
            f"member {do.member_id} is registered already and {before.status}",
            code="member.exists",
            hint=f"change it with: pfgov member update {do.member_id}",
            pointer="/id",
        )
    if before is None:
        _look_alike_nobody(ctx, do.member_id)
    is_new = before is None or before.status is MemberStatus.RETIRED
    if is_new and len(ctx.state.roster()) >= MEMBERS_MAX:
        raise TooLargeError(
            f"there are {MEMBERS_MAX} members already that have not retired",
            code="member.too_many",
            hint="retire who will not come back: pfgov member retire ID",
        )
    _only_operators_vouch(ctx, do)
    check_member_names(ctx, do)
    check_member_labels(ctx, do.member_id, None, do.labels)
    event = _registered(ctx, do, before)
    verdict = _judge_registration(ctx, event)
    if verdict.outcome != "allow":
        return _denied(ctx, do.member_id, event, verdict)
    return Decided([event, *_still_kept_out(ctx, before, event.incarnation)])


def _look_alike_nobody(ctx: Context, member_id: str) -> None:
    """Refuse an id that a person takes for another member's: a rule about that one would not be about this one."""
    other = ctx.state.alike(member_id) if ctx.state.semantics >= NONE_ALIKE else None
    if other is not None:
        raise DuplicateError(
            f"{member_id} cannot be told from the member {other}, which is on record",
            code="member.alike",
            hint="choose an id that differs in more than capitals, or 0 for O, or 1 and I for l",
            pointer="/id",
        )


def _only_operators_vouch(ctx: Context, do: c.RegisterMember | c.UpdateMember) -> None:
    """Refuse clearances and regions that a member gives to itself: packets are let go on the strength of both."""
    if may_vouch(ctx, do.member_id):
        return
    for name, value in (("clearances", do.clearances), ("region", do.region)):
        if value:
            without = (
                f"register without {name}"
                if isinstance(do, c.RegisterMember)
                else f"leave {name} out"
            )
            raise ForbiddenError(
                f"a member cannot vouch for its own {name}",
                hint=f"{without}; an operator sets it, or an assessor who does not act for the member",
                pointer=f"/{name}",
            )


def _registered(ctx: Context, do: c.RegisterMember, before: Member | None) -> e.MemberRegistered:
    may_attest = "assessor" in ctx.command.principal.rights and may_vouch(ctx, do.member_id)
    trust = claimed = None
    if do.trust_score is not None and may_attest:
        trust = c.Trust(score=do.trust_score, source=ctx.command.principal.id, assessed_at=ctx.now)
    elif do.trust_score is not None:
        claimed = do.trust_score
    return e.MemberRegistered(
        member_id=do.member_id,
        incarnation=before.incarnation + 1 if before else 1,
        kind=do.type,
        capabilities=do.capabilities,
        capacity=do.capacity,
        region=do.region,
        clearances=do.clearances,
        labels=do.labels,
        weight=do.weight,
        public_key=do.public_key,
        trust=trust,
        claimed_trust=claimed,
        lease_seconds=do.lease_seconds,
        handoff_mode=do.handoff_mode,
        principal=ctx.command.principal.id,
        policy=ctx.state.policy or "",
    )


def _candidate(event: e.MemberRegistered) -> Member:
    """Return the member that *event* would make, for policy to look at."""
    trust = event.trust
    return Member(
        member_id=event.member_id,
        incarnation=event.incarnation,
        kind=event.kind,
        status=MemberStatus.ACTIVE,
        principal=event.principal,
        capabilities={cap.name: cap for cap in event.capabilities},
        capacity={name: from_text(text) for name, text in event.capacity},
        region=event.region,
        clearances=event.clearances,
        labels=event.labels,
        attested=None
        if trust is None
        else TrustScore(from_text(trust.score), trust.source, trust.assessed_at),
    )


DUTIES_AT_REGISTER: Final = 4
"""The rules since which an obligation that pfgov cannot carry out keeps a member from registering, too."""


def _judge_registration(ctx: Context, event: e.MemberRegistered) -> Verdict:
    policy = active_policy(ctx)
    question = question_of(ctx, policy, Point.REGISTER)
    facts = member_facts(_candidate(event), policy.labels)
    found = policy.judge(question, [facts], validated=True)[0]
    if ctx.state.semantics >= DUTIES_AT_REGISTER:
        return found
    reasons = tuple(reason for reason in found.reasons if reason.name != UNDOABLE)
    return Verdict("deny" if reasons else "allow", reasons, found.obligations, found.shadow)


def _denied(ctx: Context, member_id: str, event: e.MemberRegistered, verdict: Verdict) -> Decided:
    judged = of_verdicts([_candidate(event)], [verdict], ctx.tools.rendered)
    digest, table = ctx.tools.table(judged, {})
    denial = e.RegistrationDenied(
        member_id=member_id,
        policy=ctx.state.policy or "",
        reasons=tuple(reason.name for reason in verdict.reasons[:REASONS_MAX]),
        table=digest,
    )
    refusal = denied(f"keeps {member_id} out", verdict)
    return while_few(ctx, Decided([denial], refusal, {digest: table}))


def _still_kept_out(ctx: Context, before: Member | None, incarnation: int) -> list[e.Event]:
    """Quarantine the next life of a member that failed in quarantine, or that came back after failing too often."""
    if before is None:
        return []
    penalty = _flap_penalty(ctx, before)
    cause: Literal["requested", "flapping"] = "flapping"
    until = penalty
    if before.before is MemberStatus.QUARANTINED:
        # Else dying, by a lease of a second, would be a member's own way out of an operator's quarantine.
        end = before.quarantine_until
        if end is None or end > max(ctx.now, penalty or 0):
            cause, until = "requested", end
    if cause == "flapping" and until is None:
        return []
    return [
        e.MemberQuarantined(
            member_id=before.member_id, incarnation=incarnation, cause=cause, until=until
        )
    ]


def _flap_penalty(ctx: Context, before: Member) -> int | None:
    """Return until when a member stays out that failed too often; the penalty doubles with every further failure."""
    settings = ctx.state.settings
    recent = sum(1 for at in before.failures if at > ctx.now - settings.flap_window)
    excess = recent - settings.flap_limit
    if excess < 0:
        return None
    return ctx.now + (settings.flap_penalty << min(excess, 10))


def update(ctx: Context, do: c.UpdateMember) -> Decided:
    """Change what a member says about itself."""
    ctx.authorise(do, do.member_id)
    member = ctx.member(do.member_id)
    if member.status is MemberStatus.RETIRED:
        raise ConflictError(f"member {do.member_id} has retired", code="member.retired")
    _only_operators_vouch(ctx, do)
    check_member_names(ctx, do)
    check_member_labels(ctx, do.member_id, member.labels, do.labels)
    events: list[e.Event] = []
    names = (
        "capacity",
        "region",
        "clearances",
        "labels",
        "weight",
        "lease_seconds",
        "handoff_mode",
    )
    changes = {name: getattr(do, name) for name in names if getattr(do, name) is not None}
    if changes:
        events.append(msgspec.structs.replace(e.MemberUpdated(member_id=do.member_id), **changes))
    for name in do.withdrawn:
        if name not in member.capabilities:
            raise NotFoundError(
                f"member {do.member_id} has no capability {name}",
                code="capability.not_found",
                pointer="/withdrawn",
            )
        events.append(e.CapabilityWithdrawn(member_id=do.member_id, name=name))
    if len(set(member.capabilities) | {cap.name for cap in do.discovered}) > CAPABILITIES_MAX:
        raise TooLargeError(
            f"a member has at most {CAPABILITIES_MAX} capabilities", pointer="/discovered"
        )
    events += [
        e.CapabilityDiscovered(member_id=do.member_id, capability=cap)
        for cap in do.discovered
        if member.capabilities.get(cap.name) != cap
    ]
    if Point.UPDATE_MEMBER in active_policy(ctx).guards:
        before = facts_of(ctx, member, load=True)
        after = facts_as(ctx, _as_updated(member, do))
        guard(ctx, Point.UPDATE_MEMBER, member=after, more={"before": before})
    return Decided(events)


def _as_updated(member: Member, do: c.UpdateMember) -> Member:
    """Return *member* as it would be, for policy to look at."""
    capabilities = {n: cap for n, cap in member.capabilities.items() if n not in do.withdrawn}
    capabilities |= {cap.name: cap for cap in do.discovered}
    changes: dict[str, Any] = {"capabilities": capabilities}
    for name in ("region", "clearances", "labels", "weight", "lease_seconds", "handoff_mode"):
        if getattr(do, name) is not None:
            changes[name] = getattr(do, name)
    if do.capacity is not None:
        changes["capacity"] = {name: from_text(text) for name, text in do.capacity}
    return msgspec.structs.replace(member, **changes)


def assess_trust(ctx: Context, do: c.AssessTrust) -> Decided:
    """Set a member's trust, with its source."""
    ctx.authorise(do)
    ctx.member(do.member_id)
    if not may_vouch(ctx, do.member_id):
        raise ForbiddenError(
            f"{ctx.command.principal.id} acts for {do.member_id} and cannot say how far it is trusted",
            code="trust.own_member",
            hint="somebody else has to assess it",
        )
    if do.expires_at is not None and do.expires_at <= ctx.now:
        raise ConflictError(
            "the assessment would have expired already", code="trust.expired", pointer="/expires_at"
        )
    trust = c.Trust(
        score=do.score,
        source=ctx.command.principal.id,
        assessed_at=ctx.now,
        expires_at=do.expires_at,
    )
    return Decided([e.TrustAssessed(member_id=do.member_id, trust=trust)])


def expire_trust(ctx: Context, do: c.ExpireTrust) -> Decided:
    """Record that an assessment ended, if it did."""
    ctx.authorise(do)
    trust = ctx.member(do.member_id).attested
    if trust is None or trust.expires_at is None or ctx.now < trust.expires_at:
        return Decided([])
    return Decided([e.TrustExpired(member_id=do.member_id, expired_at=trust.expires_at)])


def report_pressure(ctx: Context, do: c.ReportPressure) -> Decided:
    """Record a member's pressure when it crosses a threshold; between the two thresholds nothing changes.

    A report that is still high is recorded when the one before has moved something: it justifies the next step.
    """
    ctx.authorise(do, do.member_id)
    member, settings = ctx.member(do.member_id), ctx.state.settings
    pressure = from_text(do.pressure)
    is_high = pressure >= from_text(settings.pressure_high)
    if is_high and (not member.pressed or member.relieved):
        level: Literal["high", "normal"] = (
            "high"  # again, once what the last one justified was begun
        )
    elif member.pressed and pressure <= from_text(settings.pressure_low):
        level = "normal"
    else:
        return Decided([])
    return Decided(
        [e.PressureChanged(member_id=do.member_id, pressure=to_text(pressure), level=level)]
    )


def expire_lease(ctx: Context, do: c.ExpireLease) -> Decided:
    """Judge the evidence of silence again: suspect at two thirds of the lease, dead at its end."""
    ctx.authorise(do)
    member = ctx.member(do.member_id)
    silence = ctx.now - do.last_seen - do.stretch
    if member.incarnation != do.incarnation or do.ttl <= 0:
        return Decided([])
    lease = e.Lease(last_seen=do.last_seen, ttl=do.ttl, stretch=do.stretch)
    events: list[e.Event] = []
    status = member.status
    if (
        status is MemberStatus.ACTIVE
        and silence * 1_000 >= do.ttl * ctx.state.settings.suspect_permille
    ):
        events.append(
            e.MemberSuspected(member_id=do.member_id, incarnation=member.incarnation, lease=lease)
        )
        status = MemberStatus.SUSPECT
    over = silence >= do.ttl
    if over and status in {MemberStatus.SUSPECT, MemberStatus.DRAINING, MemberStatus.QUARANTINED}:
        events.append(
            e.MemberFailed(
                member_id=do.member_id,
                incarnation=member.incarnation,
                cause="lease_expired",
                lease=lease,
            )
        )
    return Decided(events)


def saw_heartbeat(ctx: Context, do: c.SawHeartbeat) -> Decided:
    """End a suspicion."""
    ctx.authorise(do)
    member = ctx.member(do.member_id)
    if member.status is not MemberStatus.SUSPECT or member.incarnation != do.incarnation:
        return Decided([])
    return Decided([e.MemberRecovered(member_id=do.member_id, incarnation=member.incarnation)])


def drain(ctx: Context, do: c.DrainMember) -> Decided:
    """Begin to move everything off a member."""
    ctx.authorise(do, do.member_id)
    member = ctx.member(do.member_id)
    member_after(do.member_id, member.status, "member_draining")
    ctx.ahead("deadline", do.deadline, "the drain's deadline has passed already")
    draining = e.MemberDraining(
        member_id=do.member_id,
        incarnation=member.incarnation,
        deadline=do.deadline,
        mode=do.mode,
        stays=do.stays,
    )
    return Decided([draining])


def cancel_drain(ctx: Context, do: c.CancelDrain) -> Decided:
    """Keep the member."""
    ctx.authorise(do, do.member_id)
    member = ctx.member(do.member_id)
    member_after(do.member_id, member.status, "drain_cancelled")
    return Decided([e.DrainCancelled(member_id=do.member_id, incarnation=member.incarnation)])


def retire(ctx: Context, do: c.RetireMember) -> Decided:
    """Let a member go: at once when it owns nothing, else as soon as its drain has moved everything."""
    ctx.authorise(do, do.member_id)
    member = ctx.member(do.member_id)
    events: list[e.Event] = []
    if member.status is not MemberStatus.DRAINING:
        member_after(do.member_id, member.status, "member_draining")
        events.append(e.MemberDraining(member_id=do.member_id, incarnation=member.incarnation))
    if member.active == 0:
        events.append(e.MemberRetired(member_id=do.member_id, incarnation=member.incarnation))
    elif not events and not ctx.is_follow_up:
        raise ConflictError(
            f"member {do.member_id} still owns {member.active} packets",
            code="member.owns_packets",
            hint="it retires by itself when its drain has moved them; move the work along with: pfgov tick",
        )
    return Decided(events)


def fail(ctx: Context, do: c.FailMember) -> Decided:
    """Hold a member for dead."""
    ctx.authorise(do)
    member = ctx.member(do.member_id)
    member_after(do.member_id, member.status, "member_failed")
    return Decided(
        [
            e.MemberFailed(
                member_id=do.member_id,
                incarnation=member.incarnation,
                cause="reported",
                detail=do.reason,
            )
        ]
    )


def recover(ctx: Context, do: c.RecoverMember) -> Decided:
    """Take a failed member back in its next life, owning nothing."""
    ctx.authorise(do, do.member_id)
    member = ctx.member(do.member_id)
    if member.status is not MemberStatus.FAILED:
        raise ConflictError(
            f"member {do.member_id} is {member.status}, not FAILED",
            code="lifecycle.illegal",
            hint="only a failed member recovers; a suspect recovers by its next heartbeat",
        )
    incarnation = member.incarnation + 1
    recovered = e.MemberRecovered(member_id=do.member_id, incarnation=incarnation)
    return Decided([recovered, *_still_kept_out(ctx, member, incarnation)])


def quarantine(ctx: Context, do: c.QuarantineMember) -> Decided:
    """Give a member no new work."""
    ctx.authorise(do)
    member = ctx.member(do.member_id)
    member_after(do.member_id, member.status, "member_quarantined")
    ctx.ahead("until", do.until, "the quarantine would have ended already")
    return Decided(
        [
            e.MemberQuarantined(
                member_id=do.member_id,
                incarnation=member.incarnation,
                cause="requested",
                until=do.until,
                detail=do.reason,
            )
        ]
    )


def release(ctx: Context, do: c.ReleaseMember) -> Decided:
    """End a quarantine: back to the status before it."""
    ctx.authorise(do)
    member = ctx.member(do.member_id)
    allowed = member_after(do.member_id, member.status, "member_released")
    before = member.before
    if before is None or before not in allowed:
        before = MemberStatus.ACTIVE
    return Decided(
        [
            e.MemberReleased(
                member_id=do.member_id, incarnation=member.incarnation, status=before.value
            )
        ]
    )
