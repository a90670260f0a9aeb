"""One sentence for every event: what the ledger says, in words.

A table from event to sentence, complete by test.  Sentences are for people: programs read the body.  They name
members, packets and rules, never payloads.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pfgov.core import events as e
from pfgov.core.wording import with_article
from pfgov.model.times import to_moment

_NAMES_SHOWN_MAX: Final = 4


def sentence(event: e.Event) -> str:
    """Return what *event* says, in one sentence without a full stop."""
    return SENTENCES[event.type](event)


def rejected(decision: e.Decision) -> str:
    """Return the rules that kept members out, with how many each: ``kernel/region (2), trust/trust-floor (1)``."""
    shown = [f"{name} ({count})" for name, count in decision.rejected[:_NAMES_SHOWN_MAX]]
    more = len(decision.rejected) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN_MAX])
    more = len(names) - _NAMES_SHOWN_MAX
    return f"{shown} and {more} more" if more > 0 else shown


def _because(names: Sequence[str]) -> str:
    return f" because of {_list(names)}" if names else ""


def _detail(text: str | None) -> str:
    return f": {text}" if text else ""


def _seconds(microseconds: int) -> str:
    return f"{microseconds / 1_000_000:g} s"


# --- ledger, keys, policy -----------------------------------------------------------------


def _ledger_created(event: e.LedgerCreated) -> str:
    return (
        f"the ledger {event.origin} begins, with the scheduler {event.configuration.scheduler.name}"
    )


def _engine_upgraded(event: e.EngineUpgraded) -> str:
    return f"from here on the rules of semantics {event.semantics} hold ({event.engine})"


def _configuration_changed(event: e.ConfigurationChanged) -> str:
    return f"the configuration changed; the scheduler is {event.configuration.scheduler.name}"


def halt_says(cause: str | None) -> str | None:
    """Say that leases do not end, for which cause, and what ends that; None where there is no halt."""
    if cause is None:
        return None
    return f"leases do not end ({cause}); when the cause is known: pfgov tick --resume"


def _expiry_halted(event: e.ExpiryHalted) -> str:
    if event.cause == "clock_jump":
        return f"nothing is due: the clock jumped by {_seconds(event.jump)}"
    return f"no lease expires: {event.overdue} of {event.leased} ended at once"


def _expiry_resumed(event: e.ExpiryResumed) -> str:
    why = {
        "requested": "an operator says so",
        "evidence": f"{event.overdue} of {event.leased} stayed silent while others were heard",
        "heard": f"only {event.overdue} of {event.leased} are still silent",
        "clock": "the clock is steady",
    }[event.cause]
    known = f"; known to be dead: {', '.join(event.dead)}" if event.dead else ""
    return f"leases end again: {why}{known}"


def _leader_changed(event: e.LeaderChanged) -> str:
    return f"the server at {event.address} leads from here on, under term {event.term}"


def _index_committed(event: e.IndexCommitted) -> str:
    return f"the map of {event.subjects} subjects over {event.size} entries is committed"


def _key_rotated(event: e.KeyRotated) -> str:
    return f"the {event.role} key {event.new[:12]} takes over"


def _key_revoked(event: e.KeyRevoked) -> str:
    return f"the {event.role} key {event.key[:12]} is revoked"


def _attachment_erased(event: e.AttachmentErased) -> str:
    return f"a payload of {event.subject} was erased ({event.why})"


def _policy_activated(event: e.PolicyActivated) -> str:
    names = [f"{ref.name} {ref.version}" for ref in event.policies]
    return f"the policy set {event.digest[:12]} is binding: {_list(names)}"


def _policy_denied(event: e.PolicyDenied) -> str:
    at = f"{event.point} of {event.about}"
    return f"policy denied {event.principal} the {at}{_because(event.reasons)}"


def _policy_refused(event: e.PolicyRefused) -> str:
    return f"a policy set did not load ({event.errors} errors); the last good one stays"


def _policy_proposed(event: e.PolicyProposed) -> str:
    rests = "" if event.report is None else f", on the report of impact {event.report.digest[:12]}"
    return f"{event.proposer} proposes the policy set {event.digest[:12]}{rests}"


def _policy_approved(event: e.PolicyApproved) -> str:
    left = f"; {event.remaining} more to approve" if event.remaining else ""
    return f"{event.approver} approves the policy set {event.digest[:12]}{left}"


def _policy_rejected(event: e.PolicyRejected) -> str:
    return f"{event.reviewer} turns the policy set {event.digest[:12]} down"


def _policy_change_refused(event: e.PolicyChangeRefused) -> str:
    what = "approving" if event.action == "approve" else "activating"
    return (
        f"{what} the policy set {event.digest[:12]} was refused to {event.principal} ({event.code})"
    )


def _publisher_trusted(event: e.PublisherTrusted) -> str:
    until = "" if event.expires_at is None else f" until {to_moment(event.expires_at)}"
    return f"{event.principal} trusts the key {event.key[:12]} of the publisher {event.name}{until}"


def _publisher_rotated(event: e.PublisherRotated) -> str:
    return f"the publisher {event.name} has the key {event.new[:12]} in place of {event.old[:12]}"


def _publisher_revoked(event: e.PublisherRevoked) -> str:
    return (
        f"{event.principal} trusts the key {event.key[:12]} of the publisher {event.name} no more"
    )


# --- members ------------------------------------------------------------------------------


def _life(event: e.Event) -> str:
    member_id, incarnation = getattr(event, "member_id", ""), getattr(event, "incarnation", 1)
    return f"{member_id} (life {incarnation})" if incarnation > 1 else str(member_id)


def _member_registered(event: e.MemberRegistered) -> str:
    trust = f", trust {event.trust.score} by {event.trust.source}" if event.trust else ""
    if event.claimed_trust is not None:
        trust = f", claiming trust {event.claimed_trust}, which counts for nothing"
    where = f" in {event.region}" if event.region else ""
    return f"{_life(event)} joined as {event.kind}{where}{trust}"


def _registration_denied(event: e.RegistrationDenied) -> str:
    return f"{event.member_id} was kept out{_because(event.reasons)}"


def _member_updated(event: e.MemberUpdated) -> str:
    names = [
        name
        for name in event.__struct_fields__
        if name not in {"command", "member_id"} and getattr(event, name) is not None
    ]
    return f"{event.member_id} changed: {_list(names)}"


def _capability_discovered(event: e.CapabilityDiscovered) -> str:
    version = f" {event.capability.version}" if event.capability.version else ""
    return f"{event.member_id} can now do {event.capability.name}{version}"


def _capability_withdrawn(event: e.CapabilityWithdrawn) -> str:
    return f"{event.member_id} can no longer do {event.name}"


def _trust_assessed(event: e.TrustAssessed) -> str:
    until = f" until {to_moment(event.trust.expires_at)}" if event.trust.expires_at else ""
    return f"{event.member_id} is trusted {event.trust.score}, says {event.trust.source}{until}"


def _trust_expired(event: e.TrustExpired) -> str:
    return f"the trust in {event.member_id} expired; policies see none"


def _member_suspected(event: e.MemberSuspected) -> str:
    return f"{event.member_id} is suspected: silent beyond its lease's warning; no new work"


def _member_failed(event: e.MemberFailed) -> str:
    if event.cause == "lease_expired":
        ttl = event.lease.ttl if event.lease else 0
        return f"{event.member_id} is declared failed: its lease of {_seconds(ttl)} ran out"
    return f"{event.member_id} is reported dead{_detail(event.detail)}"


def _member_recovered(event: e.MemberRecovered) -> str:
    return f"{_life(event)} is back"


def _member_draining(event: e.MemberDraining) -> str:
    until = f" until {to_moment(event.deadline)}" if event.deadline else ""
    after = "; it stays a member" if event.stays else ""
    return f"{event.member_id} is draining{until}: no new work, and what it owns moves{after}"


def _drain_cancelled(event: e.DrainCancelled) -> str:
    return f"{event.member_id} stays: its drain is cancelled"


def _member_quarantined(event: e.MemberQuarantined) -> str:
    until = f" until {to_moment(event.until)}" if event.until else ""
    why = "it failed too often" if event.cause == "flapping" else event.detail
    return f"{event.member_id} is quarantined{until}{_detail(why)}"


def _member_released(event: e.MemberReleased) -> str:
    return f"{event.member_id} is released and {event.status} again"


def _member_retired(event: e.MemberRetired) -> str:
    return f"{event.member_id} retired, owning nothing"


def _pressure_changed(event: e.PressureChanged) -> str:
    return f"{event.member_id} reports pressure {event.pressure}: {event.level}"


# --- packets ------------------------------------------------------------------------------


def _packet_created(event: e.PacketCreated) -> str:
    claim = ""
    if event.imported is not None:
        claim = "; the history it claims is kept as imported, not believed"
    held = " and held" if event.hold else ""
    return f"{event.packet_id} ({event.workload_type}) was submitted{held}{claim}"


def _packet_updated(event: e.PacketUpdated) -> str:
    names = [
        name
        for name in event.__struct_fields__
        if name not in {"command", "packet_id"} and getattr(event, name) is not None
    ]
    return f"{event.packet_id} changed: {_list(names)}"


_UNPLACED: Final[Mapping[str, str]] = {
    "denied": "nobody may own {}",
    "escalated": "{} needs a review before anybody owns it",
    "no_candidate": "{} has nobody to go to",
    "no_capacity": "nobody who may own {} has room",
}


def _assignment_decision(event: e.AssignmentDecision) -> str:
    decision = event.decision
    if event.owner is not None:
        by = f"by {decision.scheduler.name}, " if decision.scheduler else ""
        before = f" after {event.source.member_id}" if event.source else ""
        return (
            f"{event.packet_id} goes to {event.owner.member_id}{before} under epoch {event.epoch}"
            f" ({by}{decision.eligible} of {decision.considered} eligible)"
        )
    why = f": {rejected(decision)}" if decision.rejected else ""
    only = asked_alone(decision) if event.outcome == "denied" else None
    said = f"{only} may not own {{}}" if only else _UNPLACED[event.outcome]
    return said.format(event.packet_id) + why


def asked_alone(decision: e.Decision) -> str | None:
    """Return the one member that a decision against it asked about, or None where several were asked."""
    if decision.considered == 1 and decision.nearest:
        return decision.nearest[0].member_id
    return None


_UNTAKEN: Final[Mapping[str, str]] = {
    "denied": "nobody may take it",
    "no_candidate": "there is nobody to take it",
    "no_capacity": "nobody who may take it has room",
}


def _rules(rules: Sequence[e.RuleRef]) -> str:
    return _list([f"{rule.policy}/{rule.rule}" for rule in rules])


def _review_requested(event: e.ReviewRequested) -> str:
    return f"{event.packet_id} waits for {with_article(event.to)}, asked by {_rules(event.rules)}"


def _review_recorded(event: e.ReviewRecorded) -> str:
    verb = "granted" if event.granted else "refused"
    for_whom = f" for {event.member_id}" if event.member_id else ""
    return f"{event.reviewer} {verb} {_rules(event.rules)} on {event.packet_id}{for_whom}{_detail(event.note)}"


def _review_expired(event: e.ReviewExpired) -> str:
    return f"nobody reviewed {event.packet_id} in time"


def _handoff_started(event: e.HandoffStarted) -> str:
    pinned = "; its context is pinned" if event.context or event.view else ""
    view = ", of which it may read a redacted view" if event.view else ""
    return (
        f"{event.packet_id} is to move from {event.source.member_id} to {event.target.member_id}"
        f" ({event.reason}){pinned}{view}"
    )


def _handoff_completed(event: e.HandoffCompleted) -> str:
    return (
        f"{event.packet_id} moved from {event.source.member_id} to {event.owner.member_id}"
        f" under epoch {event.epoch}"
    )


def _handoff_denied(event: e.HandoffDenied) -> str:
    why = f": {rejected(event.decision)}" if event.decision.rejected else ""
    whoever = (
        f"{only} may not take it"
        if (only := asked_alone(event.decision))
        else _UNTAKEN[event.outcome]
    )
    return f"{event.packet_id} stays with {event.source.member_id}: {whoever}{why}"


def _handoff_escalated(event: e.HandoffEscalated) -> str:
    return f"{event.packet_id} stays with {event.source.member_id} until its move is reviewed"


_ABORTS: Final[Mapping[str, str]] = {
    "requested": "called off",
    "timeout": "not accepted in time",
    "refused": "refused by the target",
    "target_failed": "the target is gone",
    "policy": "policy denied it at acceptance",
    "completed": "the owner completed the work",
    "failed": "the owner gave up",
    "updated": "the packet changed",
}


def _handoff_aborted(event: e.HandoffAborted) -> str:
    return (
        f"{event.packet_id} stays with {event.source.member_id}: the move to {event.target.member_id}"
        f" was off, {_ABORTS[event.cause]}{_because(event.reasons)}"
    )


_REVOCATIONS: Final[Mapping[str, str]] = {
    "member_failed": "it is dead",
    "drain_deadline": "its drain's deadline passed",
    "retain_denied": "policy no longer lets it keep the packet",
    "pressure": "it is overloaded",
    "drain": "it stops first and moves then",
    "member_gone": "it is in another life",
}


def _ownership_revoked(event: e.OwnershipRevoked) -> str:
    return (
        f"{event.packet_id} is taken from {event.owner.member_id}, {_REVOCATIONS[event.cause]}"
        f"{_because(event.reasons)}; the epoch is now {event.epoch}"
    )


def _packet_requeued(event: e.PacketRequeued) -> str:
    packet, owner = event.packet_id, event.owner.member_id
    if event.reason == e.NO_PROGRESS:
        return f"{packet} was taken from {owner}, which made no progress for as long as it may"
    others = "; others get it first" if event.elsewhere else ""
    return f"{packet} was put back by or for {owner} ({event.reason}){others}"


def _checkpoint_committed(event: e.CheckpointCommitted) -> str:
    if event.obligations:
        return f"policy withholds more of the context of {event.packet_id} from {event.owner.member_id} from here on"
    step = f" at step {event.step}" if event.step else ""
    return f"{event.owner.member_id} saved its progress on {event.packet_id}{step}"


def _packet_completed(event: e.PacketCompleted) -> str:
    return f"{event.owner.member_id} completed {event.packet_id} under epoch {event.epoch}"


_FAILURES: Final[Mapping[str, str]] = {
    "owner": "its owner gave up",
    "max_handoffs": "it moved too often",
    "attempts": "nobody could own it, too many times",
    "deadline": "its deadline passed",
}


def _packet_failed(event: e.PacketFailed) -> str:
    return f"{event.packet_id} failed: {_FAILURES[event.cause]}{_because(event.reasons)}"


def _packet_cancelled(event: e.PacketCancelled) -> str:
    return f"{event.packet_id} was cancelled ({event.reason})"


def _write_refused(event: e.WriteRefused) -> str:
    if event.claimed_epoch == event.epoch:
        return f"a write of {event.member_id} to {event.packet_id} was refused: it does not own it"
    return (
        f"a late write of {event.member_id} to {event.packet_id} was refused:"
        f" it named epoch {event.claimed_epoch}, and the epoch is {event.epoch}"
    )


def _decision_evaluated(event: e.DecisionEvaluated) -> str:
    return f"asked whether {event.member_id} may own {event.packet_id}: {event.outcome}{_because(event.reasons)}"


SENTENCES: Final[Mapping[str, Callable[[Any], str]]] = {
    "ledger_created": _ledger_created,
    "engine_upgraded": _engine_upgraded,
    "configuration_changed": _configuration_changed,
    "expiry_halted": _expiry_halted,
    "expiry_resumed": _expiry_resumed,
    "index_committed": _index_committed,
    "leader_changed": _leader_changed,
    "key_rotated": _key_rotated,
    "key_revoked": _key_revoked,
    "attachment_erased": _attachment_erased,
    "policy_activated": _policy_activated,
    "policy_denied": _policy_denied,
    "policy_refused": _policy_refused,
    "policy_proposed": _policy_proposed,
    "policy_approved": _policy_approved,
    "policy_rejected": _policy_rejected,
    "policy_change_refused": _policy_change_refused,
    "publisher_trusted": _publisher_trusted,
    "publisher_rotated": _publisher_rotated,
    "publisher_revoked": _publisher_revoked,
    "member_registered": _member_registered,
    "registration_denied": _registration_denied,
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
    "handoff_denied": _handoff_denied,
    "handoff_escalated": _handoff_escalated,
    "handoff_aborted": _handoff_aborted,
    "ownership_revoked": _ownership_revoked,
    "packet_requeued": _packet_requeued,
    "checkpoint_committed": _checkpoint_committed,
    "packet_completed": _packet_completed,
    "packet_failed": _packet_failed,
    "packet_cancelled": _packet_cancelled,
    "write_refused": _write_refused,
    "decision_evaluated": _decision_evaluated,
}
"""Event -> the function that says it."""
