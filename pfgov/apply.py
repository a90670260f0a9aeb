"""What each event does to the state: one function per event, in one table.

``apply`` is the only code that changes the state.  The engine runs it after deciding, the auditor after verifying;
both get the same rows.  It knows no rules: that an event was allowed to happen is the business of :mod:`pfgov.decide`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from pfgov import events as e
from pfgov.commands import Pairs, Trust
from pfgov.lifecycle import MemberStatus, PacketStatus
from pfgov.limits import REVIEWS_PER_PACKET_MAX
from pfgov.quantity import from_text
from pfgov.records import (
    Drain,
    Key,
    Member,
    Packet,
    Pending,
    Review,
    ReviewRequest,
    Stamp,
    Terms,
    TrustScore,
    Waiting,
)
from pfgov.reliability import Record, observed, value
from pfgov.state import State

REFUSALS_REMEMBERED_MAX: Final = 64
"""Stale writers remembered per packet; the first write of each (member, epoch) is recorded, later ones answered."""


def apply(state: State, event: e.Event, stamp: Stamp) -> None:
    """Change *state* as *event* says, at *stamp*.

    The event was decided or verified before; a row that is not there is our own mistake.

    Raises:
        KeyError: the event names a member or packet that the state does not hold.
    """
    APPLY[event.type](state, event, stamp)
    state.size = stamp.seq + 1
    state.time = stamp.time


# --- ledger, policy, keys -----------------------------------------------------------------


def _ledger_created(state: State, event: e.LedgerCreated, stamp: Stamp) -> None:
    state.origin, state.semantics, state.engine = event.origin, event.semantics, event.engine
    state.predecessor, state.configuration = event.predecessor, event.configuration
    state.keys = {key.public: Key(key.role, key.public, stamp.seq) for key in event.keys}
    state.touched.update(
        (("ledger_state", "ledger"), ("ledger_state", "keys"), ("ledger_state", "policy"))
    )


def _engine_upgraded(state: State, event: e.EngineUpgraded, _: Stamp) -> None:
    state.semantics, state.engine = event.semantics, event.engine
    state.touched.add(("ledger_state", "ledger"))


def _configuration_changed(state: State, event: e.ConfigurationChanged, _: Stamp) -> None:
    state.configuration = event.configuration
    state.fleet_changed()
    state.touched.add(("ledger_state", "ledger"))


def _policy_activated(state: State, event: e.PolicyActivated, stamp: Stamp) -> None:
    state.policy, state.policies, state.policy_since = event.digest, event.policies, stamp.seq
    state.fleet_changed()
    state.touched.add(("ledger_state", "policy"))


def _key_rotated(state: State, event: e.KeyRotated, stamp: Stamp) -> None:
    if event.old is not None:
        old = state.keys[event.old]
        state.keys[event.old] = msgspec.structs.replace(old, until=stamp.seq)
    state.keys[event.new] = Key(event.role, event.new, stamp.seq)
    state.touched.add(("ledger_state", "keys"))


def _key_revoked(state: State, event: e.KeyRevoked, stamp: Stamp) -> None:
    key = state.keys[event.key]
    state.keys[event.key] = msgspec.structs.replace(key, until=stamp.seq, revoked=True)
    state.touched.add(("ledger_state", "keys"))


def _nothing(state: State, event: e.Event, stamp: Stamp) -> None:
    """The entry is the whole effect."""


# --- members ------------------------------------------------------------------------------


def _quantities(pairs: Pairs) -> dict[str, int]:
    return {name: from_text(text) for name, text in pairs}


def _trust(trust: Trust | None) -> TrustScore | None:
    if trust is None:
        return None
    return TrustScore(from_text(trust.score), trust.source, trust.assessed_at, trust.expires_at)


def _member_registered(state: State, event: e.MemberRegistered, stamp: Stamp) -> None:
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
        capabilities={c.name: c for c in event.capabilities},
        capacity=_quantities(event.capacity),
        region=event.region,
        clearances=event.clearances,
        labels=event.labels,
        weight=event.weight,
        public_key=event.public_key,
        attested=_trust(event.trust),
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
    state.members[event.member_id] = member
    _member_touched(state, member)


def _member_touched(state: State, member: Member) -> None:
    state.member_changed(member.member_id)


def _member_updated(state: State, event: e.MemberUpdated, stamp: Stamp) -> None:
    member = state.members[event.member_id]
    if event.capacity is not None:
        member.capacity = _quantities(event.capacity)
    for name in ("region", "clearances", "labels", "weight", "lease_seconds", "handoff_mode"):
        new = getattr(event, name)
        if new is not None:
            setattr(member, name, new)
    member.changed = stamp.seq
    _member_touched(state, member)


def _capability_discovered(state: State, event: e.CapabilityDiscovered, stamp: Stamp) -> None:
    member = state.members[event.member_id]
    member.capabilities[event.capability.name] = event.capability
    member.changed = stamp.seq
    _member_touched(state, member)


def _capability_withdrawn(state: State, event: e.CapabilityWithdrawn, stamp: Stamp) -> None:
    member = state.members[event.member_id]
    del member.capabilities[event.name]
    member.changed = stamp.seq
    _member_touched(state, member)


def _set_trust(state: State, member: Member, trust: TrustScore | None, stamp: Stamp) -> None:
    state.expiring -= member.attested is not None and member.attested.expires_at is not None
    state.expiring += trust is not None and trust.expires_at is not None
    member.attested = trust
    member.changed = stamp.seq
    _member_touched(state, member)


def _trust_assessed(state: State, event: e.TrustAssessed, stamp: Stamp) -> None:
    _set_trust(state, state.members[event.member_id], _trust(event.trust), stamp)


def _trust_expired(state: State, event: e.TrustExpired, stamp: Stamp) -> None:
    _set_trust(state, state.members[event.member_id], None, stamp)


def _member_suspected(state: State, event: e.MemberSuspected, _: Stamp) -> None:
    member = state.members[event.member_id]
    member.status = MemberStatus.SUSPECT
    _member_touched(state, member)


def _member_failed(state: State, event: e.MemberFailed, stamp: Stamp) -> None:
    member = state.members[event.member_id]
    member.status, member.before, member.drain, member.quarantine_until = (
        MemberStatus.FAILED,
        None,
        None,
        None,
    )
    window = stamp.time - state.settings.flap_window
    member.failures = (*(t for t in member.failures if t > window), stamp.time)[-16:]
    _member_touched(state, member)


def _member_recovered(state: State, event: e.MemberRecovered, stamp: Stamp) -> None:
    member = state.members[event.member_id]
    if event.incarnation != member.incarnation:
        member.incarnation, member.pressure, member.pressed = event.incarnation, 0, False
        member.changed = stamp.seq
    member.status = MemberStatus.ACTIVE
    _member_touched(state, member)


def _member_draining(state: State, event: e.MemberDraining, stamp: Stamp) -> None:
    member = state.members[event.member_id]
    member.status, member.drain = (
        MemberStatus.DRAINING,
        Drain(event.mode, stamp.time, event.deadline),
    )
    _member_touched(state, member)


def _drain_cancelled(state: State, event: e.DrainCancelled, _: Stamp) -> None:
    member = state.members[event.member_id]
    member.status, member.drain = MemberStatus.ACTIVE, None
    _member_touched(state, member)


def _member_quarantined(state: State, event: e.MemberQuarantined, stamp: Stamp) -> None:
    member = state.members[event.member_id]
    member.before, member.status, member.quarantine_until = (
        member.status,
        MemberStatus.QUARANTINED,
        event.until,
    )
    member.changed = stamp.seq
    _member_touched(state, member)


def _member_released(state: State, event: e.MemberReleased, _: Stamp) -> None:
    member = state.members[event.member_id]
    member.status, member.before, member.quarantine_until = MemberStatus(event.status), None, None
    _member_touched(state, member)


def _member_retired(state: State, event: e.MemberRetired, _: Stamp) -> None:
    member = state.members[event.member_id]
    member.status, member.before, member.drain, member.quarantine_until = (
        MemberStatus.RETIRED,
        None,
        None,
        None,
    )
    _member_touched(state, member)


def _pressure_changed(state: State, event: e.PressureChanged, _: Stamp) -> None:
    member = state.members[event.member_id]
    member.pressure, member.pressed = from_text(event.pressure), event.level == "high"
    _member_touched(state, member)


def _record_outcome(state: State, owner: e.Owner, stamp: Stamp, *, success: bool) -> None:
    member = state.members[owner.member_id]
    half_life = state.settings.half_life
    record = observed(Record(*member.outcomes), stamp.time, success=success, half_life_us=half_life)
    member.outcomes = (record.successes_micro, record.failures_micro, record.as_of_us)
    member.reliability = value(record, stamp.time, half_life)
    state.touched.add(("member", owner.member_id))


# --- packets ------------------------------------------------------------------------------


def _packet_created(state: State, event: e.PacketCreated, stamp: Stamp) -> None:
    packet = new_packet(event)
    state.packets[event.packet_id] = packet
    state.queue(packet.packet_id)
    _packet_touched(state, packet, event, stamp)


def new_packet(event: e.PacketCreated) -> Packet:
    """Return the packet that *event* makes, before anybody owns it."""
    return Packet(
        packet_id=event.packet_id,
        terms=terms_of(event),
        status=PacketStatus.PENDING,
        created_at=event.created_at,
        lineage_id=event.lineage_id,
        step=event.step,
        context=event.context,
        imported=event.imported,
        again=event.again,
    )


def terms_of(event: e.PacketCreated) -> Terms:
    """Return what a new packet demands."""
    return Terms(
        workload_type=event.workload_type,
        required_capabilities=event.required_capabilities,
        constraints=event.constraints,
        handoff=event.handoff,
        demand=tuple((name, from_text(text)) for name, text in event.demand),
        data_classes=event.data_classes,
        priority=event.priority,
        labels=event.labels,
        scheduler=event.scheduler,
        deadline=event.deadline,
        max_handoffs=event.max_handoffs,
        hold=event.hold,
    )


def _packet_touched(state: State, packet: Packet, event: e.Event, stamp: Stamp) -> None:
    packet.version += 1
    packet.last_event = event.type
    packet.changed_at = stamp.time
    state.touched.add(("packet", packet.packet_id))
    state.watch(packet)


def _packet_updated(state: State, event: e.PacketUpdated, stamp: Stamp) -> None:
    packet = state.packets[event.packet_id]
    before, after = packet.terms, updated_terms(packet.terms, event)
    holders = [packet.owner] if packet.owner else []
    holders += [packet.pending.target] if packet.pending else []
    for member_id in holders:
        state.load(member_id, before, -1)
        state.load(member_id, after, 1)
    packet.terms, packet.terms_since = after, stamp.seq
    packet.waiting = None
    _packet_touched(state, packet, event, stamp)


def updated_terms(terms: Terms, event: e.PacketUpdated) -> Terms:
    """Return *terms* with the fields that *event* sets."""
    names = (
        "required_capabilities", "constraints", "data_classes", "handoff", "labels", "priority", "deadline",
        "max_handoffs", "scheduler", "hold",
    )  # fmt: skip
    changes: dict[str, Any] = {n: getattr(event, n) for n in names if getattr(event, n) is not None}
    if event.demand is not None:
        changes["demand"] = tuple((name, from_text(text)) for name, text in event.demand)
    return msgspec.structs.replace(terms, **changes)


def _assignment_decision(state: State, event: e.AssignmentDecision, stamp: Stamp) -> None:
    packet = state.packets[event.packet_id]
    if event.outcome == "allowed" and event.owner is not None:
        state.take(packet, event.owner)
        packet.status, packet.epoch = PacketStatus.ASSIGNED, event.epoch
        packet.obligations, packet.view = event.obligations, event.view
        packet.waiting = packet.request = None
        packet.judged, packet.moved_at = stamp.seq, stamp.time
        packet.handoff_count += event.source is not None
    else:
        packet.waiting = Waiting(
            outcome=event.outcome, reasons=event.decision.rejected, since=stamp.time
        )
        if event.outcome == "escalated":
            packet.status = PacketStatus.AWAITING_REVIEW
        else:
            packet.status, packet.request = PacketStatus.PENDING, None
    _packet_touched(state, packet, event, stamp)


def _review_requested(state: State, event: e.ReviewRequested, stamp: Stamp) -> None:
    packet = state.packets[event.packet_id]
    packet.request = ReviewRequest(
        point=event.point,
        policy=event.policy,
        rules=event.rules,
        to=event.to,
        expires_at=event.expires_at,
        member_id=event.member_id,
    )
    _packet_touched(state, packet, event, stamp)


def _review_recorded(state: State, event: e.ReviewRecorded, stamp: Stamp) -> None:
    packet = state.packets[event.packet_id]
    packet.request = None
    if event.granted:
        review = Review(
            position=stamp.seq,
            reviewer=event.reviewer,
            point=event.point,
            policy=event.policy,
            rules=event.rules,
            data_classes=packet.terms.data_classes,
            member_id=event.member_id,
            expires_at=event.expires_at,
        )
        packet.reviews = (*packet.reviews, review)[-REVIEWS_PER_PACKET_MAX:]
    elif packet.status is PacketStatus.AWAITING_REVIEW:
        packet.status = PacketStatus.PENDING
        names = tuple((f"{r.policy}/{r.rule}", 1) for r in event.rules)
        packet.waiting = Waiting(outcome="review_refused", reasons=names, since=stamp.time)
    _packet_touched(state, packet, event, stamp)


def _review_expired(state: State, event: e.ReviewExpired, stamp: Stamp) -> None:
    packet = state.packets[event.packet_id]
    packet.request = None
    if packet.status is PacketStatus.AWAITING_REVIEW:
        packet.status = PacketStatus.PENDING
        names = tuple((f"{r.policy}/{r.rule}", 1) for r in event.rules)
        packet.waiting = Waiting(outcome="review_expired", reasons=names, since=stamp.time)
    _packet_touched(state, packet, event, stamp)


def _handoff_started(state: State, event: e.HandoffStarted, stamp: Stamp) -> None:
    packet = state.packets[event.packet_id]
    packet.status = PacketStatus.HANDOFF_PENDING
    packet.pending = Pending(
        position=stamp.seq,
        target=event.target.member_id,
        incarnation=event.target.incarnation,
        deadline=event.deadline,
        reason=event.reason,
        context=event.context,
        view=event.view,
        obligations=event.obligations,
    )
    packet.request = None
    state.load(event.target.member_id, packet.terms, 1)
    _packet_touched(state, packet, event, stamp)


def _handoff_completed(state: State, event: e.HandoffCompleted, stamp: Stamp) -> None:
    packet = state.packets[event.packet_id]
    pending = packet.pending
    state.release_target(packet)
    state.drop(packet)
    state.take(packet, event.owner)
    packet.status, packet.epoch = PacketStatus.ASSIGNED, event.epoch
    packet.obligations = pending.obligations if pending else ()
    packet.view = pending.view if pending else None
    packet.handoff_count += 1
    packet.judged, packet.moved_at = stamp.seq, stamp.time
    packet.waiting = packet.request = None
    _packet_touched(state, packet, event, stamp)


def _handoff_refused(
    state: State, event: e.HandoffDenied | e.HandoffEscalated, stamp: Stamp
) -> None:
    packet = state.packets[event.packet_id]
    outcome = event.outcome if isinstance(event, e.HandoffDenied) else "escalated"
    packet.waiting = Waiting(outcome=outcome, reasons=event.decision.rejected, since=stamp.time)
    _packet_touched(state, packet, event, stamp)


def _handoff_aborted(state: State, event: e.HandoffAborted, stamp: Stamp) -> None:
    packet = state.packets[event.packet_id]
    state.release_target(packet)
    packet.status = PacketStatus.ASSIGNED
    packet.attempts += event.cause in {"timeout", "refused", "target_failed", "policy"}
    _packet_touched(state, packet, event, stamp)


def _ownership_revoked(state: State, event: e.OwnershipRevoked, stamp: Stamp) -> None:
    packet = state.packets[event.packet_id]
    _unown(state, packet, event.epoch)
    packet.attempts += event.cause in {"member_failed", "retain_denied", "member_gone"}
    if event.cause in {"member_failed", "member_gone"}:
        _record_outcome(state, event.owner, stamp, success=False)
    _packet_touched(state, packet, event, stamp)


def _packet_requeued(state: State, event: e.PacketRequeued, stamp: Stamp) -> None:
    packet = state.packets[event.packet_id]
    _unown(state, packet, event.epoch)
    packet.attempts += 1
    _packet_touched(state, packet, event, stamp)


def _unown(state: State, packet: Packet, epoch: int) -> None:
    state.release_target(packet)
    state.drop(packet)
    packet.status, packet.epoch, packet.waiting, packet.request = (
        PacketStatus.PENDING,
        epoch,
        None,
        None,
    )
    state.queue(packet.packet_id)


def _checkpoint_committed(state: State, event: e.CheckpointCommitted, stamp: Stamp) -> None:
    packet = state.packets[event.packet_id]
    packet.context = event.context
    packet.attempts = 0
    if event.step is not None:
        packet.step = event.step
    _packet_touched(state, packet, event, stamp)


def _packet_ended(
    state: State, event: e.PacketCompleted | e.PacketFailed | e.PacketCancelled, stamp: Stamp
) -> None:
    packet = state.packets[event.packet_id]
    state.release_target(packet)
    state.drop(packet)
    state.leave_queue(packet)
    packet.request = packet.waiting = None
    if isinstance(event, e.PacketCompleted):
        packet.status = PacketStatus.COMPLETED
        _record_outcome(state, event.owner, stamp, success=True)
    elif isinstance(event, e.PacketFailed):
        packet.status, packet.cause = PacketStatus.FAILED, event.cause
        if event.cause == "owner" and event.owner is not None:
            _record_outcome(state, event.owner, stamp, success=False)
    else:
        packet.status, packet.cause = PacketStatus.CANCELLED, event.reason
    _packet_touched(state, packet, event, stamp)


def _write_refused(state: State, event: e.WriteRefused, _: Stamp) -> None:
    packet = state.packets[event.packet_id]
    seen = (event.member_id, event.claimed_epoch)
    packet.refused = (*packet.refused, seen)[-REFUSALS_REMEMBERED_MAX:]
    state.touched.add(("packet", packet.packet_id))


APPLY: Final[Mapping[str, Callable[[State, Any, Stamp], None]]] = {
    "ledger_created": _ledger_created,
    "engine_upgraded": _engine_upgraded,
    "configuration_changed": _configuration_changed,
    "key_rotated": _key_rotated,
    "key_revoked": _key_revoked,
    "policy_activated": _policy_activated,
    "policy_refused": _nothing,
    "expiry_halted": _nothing,
    "index_committed": _nothing,
    "attachment_erased": _nothing,
    "decision_evaluated": _nothing,
    "registration_denied": _nothing,
    "member_registered": _member_registered,
    "member_updated": _member_updated,
    "capability_discovered": _capability_discovered,
    "capability_withdrawn": _capability_withdrawn,
    "trust_assessed": _trust_assessed,
    "trust_expired": _trust_expired,
    "member_suspected": _member_suspected,
    "member_failed": _member_failed,
    "member_recovered": _member_recovered,
    "member_draining": _member_draining,
    "drain_cancelled": _drain_cancelled,
    "member_quarantined": _member_quarantined,
    "member_released": _member_released,
    "member_retired": _member_retired,
    "pressure_changed": _pressure_changed,
    "packet_created": _packet_created,
    "packet_updated": _packet_updated,
    "assignment_decision": _assignment_decision,
    "review_requested": _review_requested,
    "review_recorded": _review_recorded,
    "review_expired": _review_expired,
    "handoff_started": _handoff_started,
    "handoff_completed": _handoff_completed,
    "handoff_denied": _handoff_refused,
    "handoff_escalated": _handoff_refused,
    "handoff_aborted": _handoff_aborted,
    "ownership_revoked": _ownership_revoked,
    "checkpoint_committed": _checkpoint_committed,
    "packet_completed": _packet_ended,
    "packet_failed": _packet_ended,
    "packet_requeued": _packet_requeued,
    "packet_cancelled": _packet_ended,
    "write_refused": _write_refused,
}
"""What each event does.  Its keys are exactly the vocabulary of :data:`pfgov.events.EVENTS`."""
