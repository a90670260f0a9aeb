"""Events of packets."""

from typing import ClassVar, Final, Literal

from pfgov.core.commands import Commitment, Constraints, HandoffTerms, Obligation, Pairs, Scan
from pfgov.core.events.base import Decision, Imported, Owner, PacketEvent, RuleRef

NO_PROGRESS: Final = "pfgov:no_progress"
"""The reserved reason of a packet that was taken from an owner that stood still with it."""


class PacketCreated(PacketEvent, frozen=True, kw_only=True):
    """A packet was submitted; ``data_classes`` are those declared and those that ``scan`` found."""

    type: ClassVar[str] = "packet_created"
    workload_type: str
    required_capabilities: tuple[str, ...] = ()
    constraints: Constraints
    handoff: HandoffTerms
    demand: Pairs = ()
    data_classes: tuple[str, ...] = ()
    priority: int = 0
    labels: Pairs = ()
    scheduler: str | None = None
    deadline: int | None = None
    max_handoffs: int | None = None
    progress_seconds: int | None = None
    hold: bool = False
    created_at: int
    lineage_id: str
    step: str | None = None
    context: Commitment | None = None
    imported: Imported | None = None
    again: str | None = None
    submitted_by: str | None = None
    submitted_for: tuple[str, ...] = ()
    scan: Scan | None = None


class PacketUpdated(PacketEvent, frozen=True, kw_only=True):
    """Constraints became narrower, or labels, priority, deadline, hold changed; absent fields did not."""

    type: ClassVar[str] = "packet_updated"
    required_capabilities: tuple[str, ...] | None = None
    constraints: Constraints | None = None
    data_classes: tuple[str, ...] | None = None
    handoff: HandoffTerms | None = None
    demand: Pairs | None = None
    labels: Pairs | None = None
    priority: int | None = None
    deadline: int | None = None
    max_handoffs: int | None = None
    progress_seconds: int | None = None
    scheduler: str | None = None
    hold: bool | None = None


Outcome = Literal["allowed", "denied", "escalated", "no_candidate", "no_capacity"]


class AssignmentDecision(PacketEvent, frozen=True, kw_only=True):
    """Who becomes the owner of a packet that has none, or why nobody does."""

    type: ClassVar[str] = "assignment_decision"
    outcome: Outcome
    epoch: int
    owner: Owner | None = None
    source: Owner | None = None
    decision: Decision
    obligations: tuple[Obligation, ...] = ()
    view: Commitment | None = None
    reason: str | None = None
    reviews: tuple[int, ...] = ()


class ReviewRequested(PacketEvent, frozen=True, kw_only=True):
    """So many different principals with the scope ``to`` have to look before the packet may move.

    ``lapsed`` are the facts that have other values than when an earlier review of these rules was granted.
    """

    type: ClassVar[str] = "review_requested"
    point: str
    policy: str
    rules: tuple[RuleRef, ...]
    to: str
    member_id: str | None = None
    expires_at: int
    approvals: int = 1
    lapsed: tuple[str, ...] = ()


class ReviewRecorded(PacketEvent, frozen=True, kw_only=True):
    """A review: it discharges these rules, of this policy set, at this point, for a member or any.

    A granted one holds for the ``version`` that was looked at: for the facts ``seen``, by path, and for the candidates,
    by id, of whom the rules read facts, each as the digest of the values.  ``remaining`` says how many are to follow.
    """

    type: ClassVar[str] = "review_recorded"
    granted: bool
    reviewer: str
    point: str
    policy: str
    rules: tuple[RuleRef, ...]
    member_id: str | None = None
    expires_at: int | None = None
    note: str | None = None
    version: int | None = None
    seen: Pairs = ()
    candidates: Pairs = ()
    reviewed_for: tuple[str, ...] = ()
    remaining: int = 0


class ReviewExpired(PacketEvent, frozen=True, kw_only=True):
    """Nobody reviewed in time."""

    type: ClassVar[str] = "review_expired"
    point: str
    rules: tuple[RuleRef, ...]


class HandoffStarted(PacketEvent, frozen=True, kw_only=True):
    """A target is chosen and its capacity reserved; the source still owns the packet."""

    type: ClassVar[str] = "handoff_started"
    epoch: int
    source: Owner
    target: Owner
    reason: str
    deadline: int
    context: Commitment | None = None
    view: Commitment | None = None
    obligations: tuple[Obligation, ...] = ()
    decision: Decision
    reviews: tuple[int, ...] = ()


class HandoffCompleted(PacketEvent, frozen=True, kw_only=True):
    """The target accepted and was judged again: it owns the packet under the next epoch."""

    type: ClassVar[str] = "handoff_completed"
    epoch: int
    source: Owner
    owner: Owner
    decision: Decision
    reviews: tuple[int, ...] = ()


class HandoffDenied(PacketEvent, frozen=True, kw_only=True):
    """Nobody may take the packet; its owner keeps it."""

    type: ClassVar[str] = "handoff_denied"
    epoch: int
    outcome: Outcome
    source: Owner
    reason: str
    decision: Decision


class HandoffEscalated(PacketEvent, frozen=True, kw_only=True):
    """A handoff waits for a review; the owner keeps the packet."""

    type: ClassVar[str] = "handoff_escalated"
    epoch: int
    source: Owner
    reason: str
    decision: Decision


class HandoffAborted(PacketEvent, frozen=True, kw_only=True):
    """The handoff is off; the source keeps the packet and its epoch."""

    type: ClassVar[str] = "handoff_aborted"
    epoch: int
    source: Owner
    target: Owner
    cause: Literal[
        "requested",
        "timeout",
        "refused",
        "target_failed",
        "policy",
        "completed",
        "failed",
        "updated",
    ]
    reasons: tuple[str, ...] = ()


class OwnershipRevoked(PacketEvent, frozen=True, kw_only=True):
    """The owner lost the packet; ``epoch`` is the new one, under which nobody owns it."""

    type: ClassVar[str] = "ownership_revoked"
    epoch: int
    owner: Owner
    cause: Literal[
        "member_failed", "drain_deadline", "retain_denied", "pressure", "drain", "member_gone"
    ]
    reasons: tuple[str, ...] = ()


class PacketRequeued(PacketEvent, frozen=True, kw_only=True):
    """The owner gave the packet back, or an operator took it back, or the engine because it made no progress.

    ``elsewhere`` says that others get it first.
    """

    type: ClassVar[str] = "packet_requeued"
    epoch: int
    owner: Owner
    reason: str
    elsewhere: bool = False


class CheckpointCommitted(PacketEvent, frozen=True, kw_only=True):
    """The owner saved its progress: a commitment to the context, and the step as a label.

    With ``obligations`` the engine did, not the owner: policy withholds more from it from here on, the context is the
    same as before, and ``view`` is what the owner may read of it.  The classes that ``scan`` found are the packet's
    from here on, besides those that it had.
    """

    type: ClassVar[str] = "checkpoint_committed"
    epoch: int
    owner: Owner
    step: str | None = None
    context: Commitment
    view: Commitment | None = None
    obligations: tuple[Obligation, ...] = ()
    scan: Scan | None = None


class PacketCompleted(PacketEvent, frozen=True, kw_only=True):
    """The owner finished the work; what came of it is committed to."""

    type: ClassVar[str] = "packet_completed"
    epoch: int
    owner: Owner
    result: Commitment | None = None


class PacketFailed(PacketEvent, frozen=True, kw_only=True):
    """The owner gave up, or a limit was reached."""

    type: ClassVar[str] = "packet_failed"
    epoch: int
    owner: Owner | None = None
    cause: Literal["owner", "max_handoffs", "attempts", "deadline"]
    reasons: tuple[str, ...] = ()


class PacketCancelled(PacketEvent, frozen=True, kw_only=True):
    """Somebody with the right called it off."""

    type: ClassVar[str] = "packet_cancelled"
    epoch: int
    owner: Owner | None = None
    reason: str


class WriteRefused(PacketEvent, frozen=True, kw_only=True):
    """A member that no longer owns the packet tried to write; the first time under this epoch."""

    type: ClassVar[str] = "write_refused"
    member_id: str
    incarnation: int
    claimed_epoch: int
    epoch: int
    action: str
    code: str


class DecisionEvaluated(PacketEvent, frozen=True, kw_only=True):
    """A program asked whether a member may own a packet; nothing moved."""

    type: ClassVar[str] = "decision_evaluated"
    member_id: str
    outcome: Literal["allowed", "denied", "escalated"]
    reasons: tuple[str, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    decision: Decision
