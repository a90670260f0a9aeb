"""What events of members do to the state, and how a member's outcomes are counted."""

from typing import Final

from pfgov.core import events as e
from pfgov.core.commands import Pairs, Trust
from pfgov.core.lifecycle import MemberStatus
from pfgov.core.ordered import in_order
from pfgov.core.quantity import from_text
from pfgov.core.records import Drain, Member, Stamp, TrustScore
from pfgov.core.reliability import Record, observed, value
from pfgov.core.state import State

ONE_REPORT_ONE_STEP: Final = 4
"""The rules since which one report of high pressure moves one step of packets, and the next step needs a newer one."""


def quantities(pairs: Pairs) -> dict[str, int]:
    """Return decimal pairs as millionths."""
    return in_order((name, from_text(text)) for name, text in pairs)


def trust_score(trust: Trust | None) -> TrustScore | None:
    """Return an attested score as the state keeps it."""
    if trust is None:
        return None
    return TrustScore(from_text(trust.score), trust.source, trust.assessed_at, trust.expires_at)


def member_registered(state: State, event: e.MemberRegistered, stamp: Stamp) -> None:
    """Put the member in, or its next life; outcomes belong to the id."""
    before = state.members.get(event.member_id)
    if (
        before is not None
        and before.attested is not None
        and before.attested.expires_at is not None
    ):
        state.expiring -= 1
    member = Member(
        member_id=event.member_id,
        incarnation=event.incarnation,
        kind=event.kind,
        status=MemberStatus.ACTIVE,
        principal=event.principal,
        capabilities=in_order((c.name, c) for c in event.capabilities),
        capacity=quantities(event.capacity),
        region=event.region,
        clearances=event.clearances,
        labels=event.labels,
        weight=event.weight,
        public_key=event.public_key,
        attested=trust_score(event.trust),
        claimed_trust=event.claimed_trust,
        lease_seconds=event.lease_seconds,
        handoff_mode=event.handoff_mode,
        changed=stamp.seq,
    )
    if before is not None:
        # Outcomes belong to the id, not to one life of it; what a dead life still holds is revoked by follow-ups.
        member.outcomes, member.reliability, member.failures = (
            before.outcomes,
            before.reliability,
            before.failures,
        )
        member.used, member.active = before.used, before.active
    if member.attested is not None and member.attested.expires_at is not None:
        state.expiring += 1
    state.add_member(member)
    member_touched(state, member)


def member_touched(state: State, member: Member) -> None:
    """Note that the member changed."""
    state.member_changed(member.member_id)


def member_updated(state: State, event: e.MemberUpdated, stamp: Stamp) -> None:
    """Set what the event sets."""
    member = state.members[event.member_id]
    if event.capacity is not None:
        member.capacity = quantities(event.capacity)
    for name in ("region", "clearances", "labels", "weight", "lease_seconds", "handoff_mode"):
        new = getattr(event, name)
        if new is not None:
            setattr(member, name, new)
    member.changed = stamp.seq
    member_touched(state, member)


def capability_discovered(state: State, event: e.CapabilityDiscovered, stamp: Stamp) -> None:
    """Add a capability, or its new version."""
    member = state.members[event.member_id]
    offered = {**member.capabilities, event.capability.name: event.capability}
    member.capabilities = in_order(offered)
    member.changed = stamp.seq
    member_touched(state, member)


def capability_withdrawn(state: State, event: e.CapabilityWithdrawn, stamp: Stamp) -> None:
    """Take a capability away."""
    member = state.members[event.member_id]
    del member.capabilities[event.name]
    member.changed = stamp.seq
    member_touched(state, member)


def set_trust(state: State, member: Member, trust: TrustScore | None, stamp: Stamp) -> None:
    """Replace the score, and the count of those that expire."""
    state.expiring -= member.attested is not None and member.attested.expires_at is not None
    state.expiring += trust is not None and trust.expires_at is not None
    member.attested = trust
    member.changed = stamp.seq
    member_touched(state, member)


def trust_assessed(state: State, event: e.TrustAssessed, stamp: Stamp) -> None:
    """Set the attested score."""
    set_trust(state, state.members[event.member_id], trust_score(event.trust), stamp)


def trust_expired(state: State, event: e.TrustExpired, stamp: Stamp) -> None:
    """Clear the attested score."""
    set_trust(state, state.members[event.member_id], None, stamp)


def member_suspected(state: State, event: e.MemberSuspected, _: Stamp) -> None:
    """No new work."""
    member = state.members[event.member_id]
    member.status = MemberStatus.SUSPECT
    member_touched(state, member)


def member_failed(state: State, event: e.MemberFailed, stamp: Stamp) -> None:
    """Declared failed; the failure is remembered for the flap penalty, and a quarantine for the next life."""
    member = state.members[event.member_id]
    if member.status is MemberStatus.QUARANTINED:
        member.before = MemberStatus.QUARANTINED
    else:
        member.before, member.quarantine_until = None, None
    member.status, member.drain = MemberStatus.FAILED, None
    window = stamp.time - state.settings.flap_window
    member.failures = (*(t for t in member.failures if t > window), stamp.time)[-16:]
    member_touched(state, member)


def member_recovered(state: State, event: e.MemberRecovered, stamp: Stamp) -> None:
    """Back: from suspicion in the same life, from failure in the next."""
    member = state.members[event.member_id]
    if event.incarnation != member.incarnation:
        member.incarnation, member.pressure, member.pressed = event.incarnation, 0, False
        member.relieved = member.silent_since = 0
        member.before, member.quarantine_until = None, None
        member.changed = stamp.seq
    member.status = MemberStatus.ACTIVE
    member_touched(state, member)


def member_draining(state: State, event: e.MemberDraining, stamp: Stamp) -> None:
    """Leaving."""
    member = state.members[event.member_id]
    member.status, member.drain = (
        MemberStatus.DRAINING,
        Drain(event.mode, stamp.time, event.deadline, event.stays),
    )
    member_touched(state, member)


def drain_cancelled(state: State, event: e.DrainCancelled, _: Stamp) -> None:
    """Staying."""
    member = state.members[event.member_id]
    member.status, member.drain = MemberStatus.ACTIVE, None
    member_touched(state, member)


def member_quarantined(state: State, event: e.MemberQuarantined, stamp: Stamp) -> None:
    """No new work; remember the status before."""
    member = state.members[event.member_id]
    member.before, member.status, member.quarantine_until = (
        member.status,
        MemberStatus.QUARANTINED,
        event.until,
    )
    member.changed = stamp.seq
    member_touched(state, member)


def member_released(state: State, event: e.MemberReleased, _: Stamp) -> None:
    """Back to the status before."""
    member = state.members[event.member_id]
    member.status, member.before, member.quarantine_until = MemberStatus(event.status), None, None
    member_touched(state, member)


def member_retired(state: State, event: e.MemberRetired, _: Stamp) -> None:
    """Gone."""
    member = state.members[event.member_id]
    member.status, member.before, member.drain, member.quarantine_until = (
        MemberStatus.RETIRED,
        None,
        None,
        None,
    )
    member_touched(state, member)


def pressure_changed(state: State, event: e.PressureChanged, _: Stamp) -> None:
    """Note the pressure."""
    member = state.members[event.member_id]
    member.pressure, member.pressed = from_text(event.pressure), event.level == "high"
    member.relieved = 0
    member_touched(state, member)


def record_outcome(state: State, owner: e.Owner, stamp: Stamp, *, success: bool) -> None:
    """Count a success or a failure for the member; its reliability moves only here."""
    member = state.members[owner.member_id]
    half_life = state.settings.half_life
    record = observed(Record(*member.outcomes), stamp.time, success=success, half_life_us=half_life)
    member.outcomes = (record.successes_micro, record.failures_micro, record.as_of_us)
    member.reliability = value(record, stamp.time, half_life)
    state.touched.add(("member", owner.member_id))
