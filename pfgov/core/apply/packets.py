"""What events of packets do to the state."""

from typing import Any, Final

import msgspec

from pfgov.core import events as e
from pfgov.core.apply import members
from pfgov.core.commands import Scan
from pfgov.core.lifecycle import PacketStatus
from pfgov.core.quantity import from_text
from pfgov.core.records import Packet, Pending, Review, ReviewRequest, Stamp, Terms, Waiting
from pfgov.core.state import State
from pfgov.limits import AVOIDED_MAX, REVIEWS_PER_PACKET_MAX

QUEUED_BY_ARRIVAL: Final = 4
"""The rules since which a packet's place among equals is when it came, and not its id."""

OFFERS_COST_NOTHING: Final = 4
"""The rules since which an offer that came to nothing is remembered of its target and uses up no attempt of the packet;
nor does a revocation because policy changed its mind, for neither says that the packet kills its owners; and a packet
that goes back to who had it last was not handed off."""

A_REVIEW_ENDS: Final = 5
"""The rules since which a review that an owner's handoff asked for ends: refused or expired it moves nothing later, and
granted it moves the packet, whatever was tried meanwhile."""

CHANGES_ALONE_COUNT: Final = 6
"""The rules since which a packet's version says that something about it changed: one that is judged again to the same
end, asking for the same review, is as it was, and so is since when it waits."""

REFUSALS_REMEMBERED_MAX: Final = 64
"""Stale writers remembered per packet; the first write of each (member, epoch) is recorded, later ones answered."""


def packet_created(state: State, event: e.PacketCreated, stamp: Stamp) -> None:
    """Put the packet in; it waits."""
    packet = new_packet(event)
    if state.semantics >= QUEUED_BY_ARRIVAL:
        packet.terms_since = stamp.seq
    state.packets[event.packet_id] = packet
    state.live_packets += 1
    state.queue(packet.packet_id)
    packet_touched(state, packet, event, stamp)


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
        submitted_by=event.submitted_by,
        submitted_for=event.submitted_for,
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
        progress_seconds=event.progress_seconds,
        hold=event.hold,
        scanned_by=() if event.scan is None else detector_names(event.scan),
    )


def detector_names(scan: Scan) -> tuple[str, ...]:
    """Return the names of the detectors of *scan*, without their versions."""
    return tuple(named.partition("@")[0] for named in scan.detectors)


def scanned_terms(terms: Terms, scan: Scan | None) -> Terms:
    """Return *terms* as the *scan* of a new context leaves them: classes are added, and none is ever taken away."""
    names = () if scan is None else detector_names(scan)
    grown = set(terms.data_classes).union(() if scan is None else scan.classes)
    classes = terms.data_classes if len(grown) == len(terms.data_classes) else tuple(sorted(grown))
    if (names, classes) == (terms.scanned_by, terms.data_classes):
        return terms
    return msgspec.structs.replace(terms, scanned_by=names, data_classes=classes)


def packet_touched(state: State, packet: Packet, event: e.Event, stamp: Stamp) -> None:
    """Note that the packet changed."""
    packet.version += 1
    packet.last_event = event.type
    packet.changed_at = stamp.time
    state.touched.add(("packet", packet.packet_id))
    state.watch(packet)


def progressed(packet: Packet, stamp: Stamp) -> None:
    """Note when the work went on, or could go on again, where the packet bounds the time without that."""
    if packet.terms.progress_seconds is not None:
        packet.progressed_at = stamp.time


def packet_updated(state: State, event: e.PacketUpdated, stamp: Stamp) -> None:
    """Replace its terms, and with them what it takes of its holders."""
    packet = state.packets[event.packet_id]
    before, after = packet.terms, updated_terms(packet.terms, event)
    holders = [packet.owner] if packet.owner else []
    holders += [packet.pending.target] if packet.pending else []
    for member_id in holders:
        state.load(member_id, before, -1)
        state.load(member_id, after, 1)
    packet.terms, packet.terms_since = after, stamp.seq
    packet.waiting = None
    if event.progress_seconds is not None:
        progressed(packet, stamp)
    packet_touched(state, packet, event, stamp)


def updated_terms(terms: Terms, event: e.PacketUpdated) -> Terms:
    """Return *terms* with the fields that *event* sets."""
    names = (
        "required_capabilities", "constraints", "data_classes", "handoff", "labels", "priority", "deadline",
        "max_handoffs", "progress_seconds", "scheduler", "hold",
    )  # fmt: skip
    changes: dict[str, Any] = {n: getattr(event, n) for n in names if getattr(event, n) is not None}
    if event.demand is not None:
        changes["demand"] = tuple((name, from_text(text)) for name, text in event.demand)
    return msgspec.structs.replace(terms, **changes)


def assignment_decision(state: State, event: e.AssignmentDecision, stamp: Stamp) -> None:
    """Give it an owner, or note why not."""
    packet = state.packets[event.packet_id]
    if event.outcome == "allowed" and event.owner is not None:
        state.take(packet, event.owner)
        packet.status, packet.epoch = PacketStatus.ASSIGNED, event.epoch
        packet.obligations, packet.view = event.obligations, event.view
        packet.waiting = packet.request = None
        packet.judged, packet.moved_at = stamp.seq, stamp.time
        is_back = event.source == event.owner and state.semantics >= OFFERS_COST_NOTHING
        packet.handoff_count += event.source is not None and not is_back
        packet.placed_under = event.reviews
        progressed(packet, stamp)
    elif _waits_as_before(state, packet, event):
        return
    else:
        packet.waiting = Waiting(
            outcome=event.outcome, reasons=event.decision.rejected, since=stamp.time
        )
        if event.outcome == "escalated":
            packet.status = PacketStatus.AWAITING_REVIEW
        else:
            packet.status, packet.request = PacketStatus.PENDING, None
    packet_touched(state, packet, event, stamp)


def _waits_as_before(
    state: State,
    packet: Packet,
    event: e.AssignmentDecision | e.HandoffDenied | e.HandoffEscalated,
) -> bool:
    """Whether *packet* waits already for what *event* says, for the same reasons."""
    waiting = packet.waiting
    if waiting is None or state.semantics < CHANGES_ALONE_COUNT:
        return False
    outcome = "escalated" if isinstance(event, e.HandoffEscalated) else event.outcome
    if (waiting.outcome, waiting.reasons) != (outcome, event.decision.rejected):
        return False
    is_asked = packet.status is PacketStatus.AWAITING_REVIEW
    return packet.owner is not None or is_asked == (outcome == "escalated")


def review_requested(state: State, event: e.ReviewRequested, stamp: Stamp) -> None:
    """Note what it waits for."""
    packet = state.packets[event.packet_id]
    request = requested(state, event)
    if request == packet.request and state.semantics >= CHANGES_ALONE_COUNT:
        return
    packet.request = request
    packet_touched(state, packet, event, stamp)


def requested(state: State, event: e.ReviewRequested) -> ReviewRequest:
    """Return what a packet waits for after *event*."""
    return ReviewRequest(
        point=event.point,
        policy=event.policy,
        rules=event.rules,
        to=event.to,
        expires_at=event.expires_at,
        member_id=event.member_id,
        approvals=event.approvals,
        lapsed=event.lapsed if state.semantics >= CHANGES_ALONE_COUNT else (),
    )


def review_recorded(state: State, event: e.ReviewRecorded, stamp: Stamp) -> None:
    """Remember a granted review; a refused one sends the packet back."""
    packet = state.packets[event.packet_id]
    if not event.remaining:
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
            seen=None if event.version is None else event.seen,
            candidates=event.candidates,
            reviewed_for=event.reviewed_for,
        )
        packet.reviews = _remembered(packet, review)
    elif packet.status is PacketStatus.AWAITING_REVIEW:
        packet.status = PacketStatus.PENDING
        packet.waiting = _answered("review_refused", event, stamp)
    if _is_of_owner(state, packet):
        _end_review_of_owned(packet, event, stamp)
        progressed(packet, stamp)
    packet_touched(state, packet, event, stamp)


def _is_of_owner(state: State, packet: Packet) -> bool:
    """Whether a review is of a handoff: an owner keeps its packet while somebody looks, and nothing else asks then."""
    return packet.owner is not None and state.semantics >= A_REVIEW_ENDS


def _end_review_of_owned(packet: Packet, event: e.ReviewRecorded, stamp: Stamp) -> None:
    """What its owner asked for is over, or comes next: whatever was tried meanwhile says nothing about that."""
    if not event.granted:
        packet.waiting = _answered("review_refused", event, stamp, packet.waiting)
    elif not event.remaining:
        packet.waiting = _answered("escalated", event, stamp)


def _answered(
    outcome: str,
    event: e.ReviewRecorded | e.ReviewExpired,
    stamp: Stamp,
    before: Waiting | None = None,
) -> Waiting:
    """Return what a packet waits for after a review; the reasons of the handoff that asked for it are kept."""
    names = tuple((f"{r.policy}/{r.rule}", 1) for r in event.rules)
    if before is not None and before.outcome == "escalated":
        names = before.reasons
    return Waiting(outcome=outcome, reasons=names, since=stamp.time)


def _remembered(packet: Packet, review: Review) -> tuple[Review, ...]:
    """Return the packet's reviews with a further one; the oldest goes under which it is not owned."""
    kept = [*packet.reviews, review]
    while len(kept) > REVIEWS_PER_PACKET_MAX:
        unused = [old for old in kept if old.position not in packet.placed_under]
        kept.remove(unused[0] if unused else kept[0])
    return tuple(kept)


def review_expired(state: State, event: e.ReviewExpired, stamp: Stamp) -> None:
    """Back to waiting, without a review."""
    packet = state.packets[event.packet_id]
    packet.request = None
    if packet.status is PacketStatus.AWAITING_REVIEW:
        packet.status = PacketStatus.PENDING
        packet.waiting = _answered("review_expired", event, stamp)
    elif _is_of_owner(state, packet):
        packet.waiting = _answered("review_expired", event, stamp, packet.waiting)
        progressed(packet, stamp)
    packet_touched(state, packet, event, stamp)


def handoff_started(state: State, event: e.HandoffStarted, stamp: Stamp) -> None:
    """Reserve room at the target."""
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
    if state.semantics >= A_REVIEW_ENDS:  # or this handoff, when it came to nothing, is tried again
        packet.waiting = None
    state.load(event.target.member_id, packet.terms, 1)
    if event.reason == "pressure" and state.semantics >= members.ONE_REPORT_ONE_STEP:
        state.members[event.source.member_id].relieved += 1
        state.touched.add(("member", event.source.member_id))
    packet_touched(state, packet, event, stamp)


def handoff_completed(state: State, event: e.HandoffCompleted, stamp: Stamp) -> None:
    """Move it."""
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
    packet.waiting = packet.request = packet.passed_by = None
    state.members[event.owner.member_id].silent_since = 0
    packet.placed_under = event.reviews
    progressed(packet, stamp)
    packet_touched(state, packet, event, stamp)


def handoff_refused(
    state: State, event: e.HandoffDenied | e.HandoffEscalated, stamp: Stamp
) -> None:
    """Note why the owner keeps the packet."""
    packet = state.packets[event.packet_id]
    if _waits_as_before(state, packet, event):
        return
    outcome = event.outcome if isinstance(event, e.HandoffDenied) else "escalated"
    packet.waiting = Waiting(outcome=outcome, reasons=event.decision.rejected, since=stamp.time)
    packet_touched(state, packet, event, stamp)


def handoff_aborted(state: State, event: e.HandoffAborted, stamp: Stamp) -> None:
    """Give the reservation back."""
    packet = state.packets[event.packet_id]
    state.release_target(packet)
    packet.status = PacketStatus.ASSIGNED
    progressed(packet, stamp)
    if state.semantics < OFFERS_COST_NOTHING:
        packet.attempts += event.cause in {"timeout", "refused", "target_failed", "policy"}
    elif event.cause in {"timeout", "refused"}:
        packet.passed_by = event.target.member_id
        state.members[event.target.member_id].silent_since = stamp.time
        state.touched.add(("member", event.target.member_id))
    packet_touched(state, packet, event, stamp)


def ownership_revoked(state: State, event: e.OwnershipRevoked, stamp: Stamp) -> None:
    """Take it from its owner."""
    packet = state.packets[event.packet_id]
    unown(state, packet, event.epoch)
    counted = {"member_failed", "member_gone"}
    if state.semantics < OFFERS_COST_NOTHING:
        counted.add("retain_denied")
    packet.attempts += event.cause in counted
    if event.cause in {"member_failed", "member_gone"}:
        members.record_outcome(state, event.owner, stamp, success=False)
    packet_touched(state, packet, event, stamp)


def packet_requeued(state: State, event: e.PacketRequeued, stamp: Stamp) -> None:
    """Put it back into the queue."""
    packet = state.packets[event.packet_id]
    unown(state, packet, event.epoch)
    packet.attempts += 1
    if event.elsewhere:
        others = (name for name in packet.avoided if name != event.owner.member_id)
        packet.avoided = (*others, event.owner.member_id)[-AVOIDED_MAX:]
    packet_touched(state, packet, event, stamp)


def unown(state: State, packet: Packet, epoch: int) -> None:
    """Leave it without an owner, under the next epoch."""
    state.release_target(packet)
    state.drop(packet)
    packet.status, packet.epoch = PacketStatus.PENDING, epoch
    packet.waiting = packet.request = packet.passed_by = None
    packet.placed_under = ()
    state.queue(packet.packet_id)


def checkpoint_committed(state: State, event: e.CheckpointCommitted, stamp: Stamp) -> None:
    """Progress: the attempts start over.  Or policy withholds more of the same context from now on."""
    packet = state.packets[event.packet_id]
    packet.context, packet.view = event.context, event.view
    if event.obligations:
        packet.obligations = event.obligations
    else:
        packet.attempts, packet.avoided = 0, ()
        progressed(packet, stamp)
        after = scanned_terms(packet.terms, event.scan)
        if after is not packet.terms:  # the owner is judged again for what it holds now
            packet.terms, packet.terms_since = after, stamp.seq
    if event.step is not None:
        packet.step = event.step
    packet_touched(state, packet, event, stamp)


def packet_ended(
    state: State, event: e.PacketCompleted | e.PacketFailed | e.PacketCancelled, stamp: Stamp
) -> None:
    """End a packet: completed, failed or cancelled."""
    packet = state.packets[event.packet_id]
    state.release_target(packet)
    state.drop(packet)
    state.leave_queue(packet)
    state.live_packets -= 1
    packet.request = packet.waiting = None
    if isinstance(event, e.PacketCompleted):
        packet.status, packet.result = PacketStatus.COMPLETED, event.result
        members.record_outcome(state, event.owner, stamp, success=True)
    elif isinstance(event, e.PacketFailed):
        packet.status, packet.cause = PacketStatus.FAILED, event.cause
        if event.cause == "owner" and event.owner is not None:
            members.record_outcome(state, event.owner, stamp, success=False)
    else:
        packet.status, packet.cause = PacketStatus.CANCELLED, event.reason
    packet_touched(state, packet, event, stamp)


def write_refused(state: State, event: e.WriteRefused, _: Stamp) -> None:
    """Remember whom, so that a zombie is recorded once."""
    packet = state.packets[event.packet_id]
    seen = (event.member_id, event.claimed_epoch)
    packet.refused = (*packet.refused, seen)[-REFUSALS_REMEMBERED_MAX:]
    state.touched.add(("packet", packet.packet_id))
