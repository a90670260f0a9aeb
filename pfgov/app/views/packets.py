"""A packet as it is shown: the specification's envelope, with what pfgov adds.

The names are the specification's wherever it has one (``current_owner``, ``policy_constraints``, ``audit`` ...).  The
context's body is not here: the ledger holds a commitment to it, and who may read it is asked elsewhere.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from pfgov.app.views.numbers import moment, number, numbers
from pfgov.core.commands import Commitment, Constraints
from pfgov.core.quantity import from_text
from pfgov.core.records import Packet
from pfgov.model.times import to_moment


class ContextView(msgspec.Struct, frozen=True, kw_only=True):
    """The step as a label, and the commitment to the rest (hex) with the bucket of its size in bytes."""

    step: str | None
    commitment: str | None
    size: int | None


class ResultView(msgspec.Struct, frozen=True, kw_only=True):
    """The commitment to the result (hex) with the bucket of its size in bytes; whoever submitted may read it."""

    commitment: str
    size: int


class HandoffView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the packet may move, how often it did, and the handoff that is under way."""

    allowed: bool
    reason: str | None
    count: int
    max_handoffs: int | None
    pending: dict[str, object] | None


class WaitingView(msgspec.Struct, frozen=True, kw_only=True):
    """Why a packet does not move: the last outcome, each reason with the number of members it kept out.

    ``waits_for`` says what has to change: ``room``, ``policy`` (or what it reads), a ``reviewer``, or ``members``.
    """

    outcome: str
    waits_for: str
    reasons: dict[str, int]
    since: str


WAITS_FOR: Final[Mapping[str, str]] = {
    "denied": "policy",
    "no_capacity": "room",
    "no_candidate": "members",
    "escalated": "reviewer",
    "review_refused": "reviewer",
    "review_expired": "reviewer",
}
"""What each outcome that leaves a packet where it is waits for."""


class ReviewRequestView(msgspec.Struct, frozen=True, kw_only=True):
    """Who has to look, at which rules, until when."""

    to: str
    point: str
    rules: list[str]
    member_id: str | None
    expires_at: str | None


class ReviewView(msgspec.Struct, frozen=True, kw_only=True):
    """A review on record."""

    position: int
    reviewer: str
    point: str
    rules: list[str]
    data_classes: list[str]
    member_id: str | None
    expires_at: str | None


class AuditView(msgspec.Struct, frozen=True, kw_only=True):
    """Where the packet comes from and what last happened to it."""

    created_at: str | None
    last_event: str
    lineage_id: str
    changed_at: str | None


class OwnerView(msgspec.Struct, frozen=True, kw_only=True):
    """A member in one of its lives."""

    member_id: str
    incarnation: int


class PacketView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a packet; ``last_owner`` is whoever owns it, or owned it last."""

    packet_id: str
    workload_type: str
    status: str
    current_owner: str | None
    incarnation: int | None
    last_owner: OwnerView | None
    epoch: int
    version: int
    previous_owners: list[str]
    required_capabilities: list[str]
    policy_constraints: dict[str, object]
    data_classes: list[str]
    scanned_by: list[str]
    context_checkpoint: ContextView
    handoff: HandoffView
    waiting: WaitingView | None
    review: ReviewRequestView | None
    reviews: list[ReviewView]
    obligations: list[dict[str, object]]
    demand: dict[str, float | int]
    priority: int
    labels: dict[str, str]
    scheduler: str | None
    deadline: str | None
    progress_seconds: int | None
    hold: bool
    attempts: int
    imported: dict[str, object] | None
    again: str | None
    cause: str | None
    result: ResultView | None
    audit: AuditView

    @property
    def is_held(self) -> bool:
        """Whether its hold alone keeps it from an owner: a review that it waited for is over, too."""
        waits = self.status in {"PENDING", "AWAITING_REVIEW"} and self.review is None
        return self.hold and waits


def packet_view(packet: Packet) -> PacketView:
    """Return *packet* as it is shown."""
    terms, waiting = packet.terms, packet.waiting
    return PacketView(
        packet_id=packet.packet_id,
        workload_type=terms.workload_type,
        status=packet.status.value,
        current_owner=packet.owner,
        incarnation=packet.incarnation or None,
        last_owner=_last_owner(packet),
        epoch=packet.epoch,
        version=packet.version,
        previous_owners=list(packet.owners),
        required_capabilities=list(terms.required_capabilities),
        policy_constraints=_constraints(terms.constraints),
        data_classes=list(terms.data_classes),
        scanned_by=list(terms.scanned_by),
        context_checkpoint=_context(packet.step, packet.context),
        handoff=HandoffView(
            allowed=terms.handoff.allowed,
            reason=terms.handoff.reason,
            count=packet.handoff_count,
            max_handoffs=terms.max_handoffs,
            pending=_pending(packet),
        ),
        waiting=None
        if waiting is None
        else WaitingView(
            outcome=waiting.outcome,
            waits_for=WAITS_FOR.get(waiting.outcome, "policy"),
            reasons=dict(waiting.reasons),
            since=to_moment(waiting.since),
        ),
        review=_request(packet),
        reviews=_reviews(packet),
        obligations=[msgspec.to_builtins(one) for one in packet.obligations],
        demand=numbers(terms.demand),
        priority=terms.priority,
        labels=dict(terms.labels),
        scheduler=terms.scheduler,
        deadline=moment(terms.deadline),
        progress_seconds=terms.progress_seconds,
        hold=terms.hold,
        attempts=packet.attempts,
        imported=None if packet.imported is None else msgspec.to_builtins(packet.imported),
        again=packet.again,
        cause=packet.cause,
        result=None
        if packet.result is None
        else ResultView(commitment=packet.result.digest, size=packet.result.size),
        audit=AuditView(
            created_at=moment(packet.created_at),
            last_event=packet.last_event,
            lineage_id=packet.lineage_id,
            changed_at=moment(packet.changed_at),
        ),
    )


def _last_owner(packet: Packet) -> OwnerView | None:
    last = packet.holder or packet.last_owner
    if last is None:
        return None
    return OwnerView(member_id=last.member_id, incarnation=last.incarnation)


def _constraints(constraints: Constraints) -> dict[str, object]:
    shown: dict[str, object] = {"pii_review_required": constraints.pii_review_required}
    if constraints.minimum_trust_score is not None:
        shown["minimum_trust_score"] = number(from_text(constraints.minimum_trust_score))
    if constraints.allowed_regions is not None:
        shown["allowed_regions"] = list(constraints.allowed_regions)
    return shown


def _context(step: str | None, context: Commitment | None) -> ContextView:
    return ContextView(
        step=step,
        commitment=context.digest if context else None,
        size=context.size if context else None,
    )


def _pending(packet: Packet) -> dict[str, object] | None:
    pending = packet.pending
    if pending is None:
        return None
    pinned = pending.view or pending.context
    return {
        "position": pending.position,
        "target": pending.target,
        "incarnation": pending.incarnation,
        "deadline": moment(pending.deadline),
        "reason": pending.reason,
        "view": pinned.digest if pinned else None,
    }


def _request(packet: Packet) -> ReviewRequestView | None:
    request = packet.request
    if request is None:
        return None
    return ReviewRequestView(
        to=request.to,
        point=request.point,
        rules=[f"{rule.policy}/{rule.rule}" for rule in request.rules],
        member_id=request.member_id,
        expires_at=moment(request.expires_at),
    )


def _reviews(packet: Packet) -> list[ReviewView]:
    return [
        ReviewView(
            position=review.position,
            reviewer=review.reviewer,
            point=review.point,
            rules=[f"{rule.policy}/{rule.rule}" for rule in review.rules],
            data_classes=list(review.data_classes),
            member_id=review.member_id,
            expires_at=moment(review.expires_at),
        )
        for review in packet.reviews
    ]
