"""Commands about packets: submitting, moving, working, ending, reviewing, asking."""

from typing import ClassVar, Literal

from pfgov.core.commands.base import Action
from pfgov.core.commands.parts import (
    Commitment,
    Constraints,
    HandoffTerms,
    OwnerClaim,
    Pairs,
    Scan,
    View,
)


class SubmitPacket(Action, frozen=True, kw_only=True, tag="submit_packet"):
    """A new packet; placed at once unless held.

    ``scan`` says what the edge found in the context; its classes are added to those that are declared.
    """

    right: ClassVar[str] = "submitter"
    packet_id: str
    workload_type: str
    required_capabilities: tuple[str, ...] = ()
    constraints: Constraints = Constraints()
    handoff: HandoffTerms = HandoffTerms()
    demand: Pairs = ()
    data_classes: tuple[str, ...] = ()
    priority: int = 0
    labels: Pairs = ()
    scheduler: str | None = None
    deadline: int | None = None
    max_handoffs: int | None = None
    progress_seconds: int | None = None
    hold: bool = False
    created_at: int | None = None
    lineage_id: str
    step: str | None = None
    context: Commitment | None = None
    views: tuple[View, ...] = ()
    claimed_owner: str | None = None
    claimed_owners: tuple[str, ...] = ()
    claimed_status: str | None = None
    claimed_event: str | None = None
    claimed_state_hash: str | None = None
    again: str | None = None
    scan: Scan | None = None


class UpdatePacket(Action, frozen=True, kw_only=True, tag="update_packet"):
    """Narrow constraints, or change labels, priority, deadline, hold; absent fields stay."""

    right: ClassVar[str] = "submitter"
    packet_id: str
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


class PlacePacket(Action, frozen=True, kw_only=True, tag="place_packet"):
    """Find an owner for a packet that has none; with a target, judge only that member."""

    right: ClassVar[str] = "submitter"
    packet_id: str
    target: str | None = None
    views: tuple[View, ...] = ()


class HandOff(Action, frozen=True, kw_only=True, tag="hand_off"):
    """Start a handoff from the present owner: by itself, which names its claim, or by an operator."""

    right: ClassVar[str] = "member"
    packet_id: str
    target: str | None = None
    reason: str = "requested"
    views: tuple[View, ...] = ()
    owner: OwnerClaim | None = None


class AcceptHandoff(Action, frozen=True, kw_only=True, tag="accept_handoff"):
    """The target takes over: it names the handoff's position and the view it read."""

    right: ClassVar[str] = "member"
    packet_id: str
    member_id: str
    incarnation: int
    handoff: int
    view: str | None = None


class AbortHandoff(Action, frozen=True, kw_only=True, tag="abort_handoff"):
    """Call a pending handoff off (source, operator), or refuse it (target).

    A member names its claim: the owner its own, the target one for the epoch that it was offered.
    With the cause ``policy``, which only the engine gives, nothing happens if the target would still be accepted.
    """

    right: ClassVar[str] = "member"
    packet_id: str
    member_id: str | None = None
    cause: Literal["requested", "timeout", "refused", "target_failed", "policy"] = "requested"
    owner: OwnerClaim | None = None
    handoff: int | None = None


class CommitCheckpoint(Action, frozen=True, kw_only=True, tag="commit_checkpoint"):
    """The owner saves its progress.

    Under a redaction, ``context`` is the whole with what was withheld from the owner put back, and ``view`` what the
    owner itself wrote; the engine makes both.  ``scan`` says what the edge found in what the owner wrote.
    """

    right: ClassVar[str] = "member"
    packet_id: str
    owner: OwnerClaim
    step: str | None = None
    context: Commitment
    view: Commitment | None = None
    scan: Scan | None = None


class CompletePacket(Action, frozen=True, kw_only=True, tag="complete_packet"):
    """The owner has finished."""

    right: ClassVar[str] = "member"
    packet_id: str
    owner: OwnerClaim
    result: Commitment | None = None


class FailPacket(Action, frozen=True, kw_only=True, tag="fail_packet"):
    """The owner gives up for good."""

    right: ClassVar[str] = "member"
    packet_id: str
    owner: OwnerClaim
    reason: str


class RequeuePacket(Action, frozen=True, kw_only=True, tag="requeue_packet"):
    """The owner (with its claim) or an operator (without) puts the packet back; to others first, if it is to go
    ``elsewhere``.
    """

    right: ClassVar[str] = "member"
    packet_id: str
    owner: OwnerClaim | None = None
    reason: str = "requested"
    elsewhere: bool = False


class CancelPacket(Action, frozen=True, kw_only=True, tag="cancel_packet"):
    """Call the work off."""

    right: ClassVar[str] = "submitter"
    packet_id: str
    reason: str = "requested"


class ReviewPacket(Action, frozen=True, kw_only=True, tag="review_packet"):
    """Grant or refuse what policy escalated, for the version of the packet that was looked at."""

    right: ClassVar[str] = "reviewer"
    packet_id: str
    granted: bool
    member_id: str | None = None
    expires_at: int | None = None
    note: str | None = None
    version: int | None = None
    views: tuple[View, ...] = ()


class ExpireReview(Action, frozen=True, kw_only=True, tag="expire_review"):
    """Nobody reviewed in time."""

    right: ClassVar[str] = "engine"
    packet_id: str


class RevokeOwner(Action, frozen=True, kw_only=True, tag="revoke_owner"):
    """Take the packet from an owner that is dead, gone, or past its drain's deadline."""

    right: ClassVar[str] = "engine"
    packet_id: str
    epoch: int


class StallOwner(Action, frozen=True, kw_only=True, tag="stall_owner"):
    """Take the packet from an owner that made no progress for as long as the packet allows.

    The evidence is judged again when the command runs: when it last said that the work goes on, in a heartbeat or by
    nobody's knowledge before; and when it was last heard, None where it has no lease.
    """

    right: ClassVar[str] = "engine"
    packet_id: str
    epoch: int
    progressed_at: int
    heard_at: int | None = None


class RejudgeOwner(Action, frozen=True, kw_only=True, tag="rejudge_owner"):
    """Judge the present owner again (``retain``); a denial revokes, a redaction narrows what it may read."""

    right: ClassVar[str] = "engine"
    packet_id: str
    epoch: int
    views: tuple[View, ...] = ()


class ExpirePacket(Action, frozen=True, kw_only=True, tag="expire_packet"):
    """The packet's deadline, or one of its limits, is reached."""

    right: ClassVar[str] = "engine"
    packet_id: str


class EvaluateDecision(Action, frozen=True, kw_only=True, tag="evaluate_decision"):
    """May this member own this packet?  Recorded, and nothing moves."""

    right: ClassVar[str] = "submitter"
    packet_id: str
    member_id: str
    point: Literal["assign", "handoff", "accept", "retain"] | None = None
