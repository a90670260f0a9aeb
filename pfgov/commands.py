"""What can be asked: frozen, validated, carrying everything from outside that a decision may read.

A command holds its principal with the rights that were resolved for it, ids that were drawn at the edge and the
commitments to payloads that never enter the ledger.  It is embedded in the first entry that it causes, so that
an auditor can run it again.  Time is not in it: the entry's own time is.  This module checks nothing that needs
the state; the border (:mod:`pfgov.model`) has checked lengths, numbers and names already.
"""

from typing import ClassVar, Final, Literal

import msgspec

Pairs = tuple[tuple[str, str], ...]
"""A free-form map in the ledger's profile: unique names in byte order."""


class Part(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A piece of a command or an event."""


class Capability(Part, frozen=True, kw_only=True):
    """Something a member can do, in a version (PEP 440)."""

    name: str
    version: str | None = None
    category: str | None = None
    description: str | None = None
    attributes: Pairs = ()


class Trust(Part, frozen=True, kw_only=True):
    """An attested score: a decimal string in 0..1, who says so, and until when (microseconds)."""

    score: str
    source: str
    assessed_at: int
    expires_at: int | None = None


class Constraints(Part, frozen=True, kw_only=True):
    """What the packet itself demands.  Absent regions mean any, an empty list means none."""

    pii_review_required: bool = False
    minimum_trust_score: str | None = None
    allowed_regions: tuple[str, ...] | None = None


class HandoffTerms(Part, frozen=True, kw_only=True):
    """Whether the packet may move once it is owned."""

    allowed: bool = True
    reason: str | None = None


class Commitment(Part, frozen=True, kw_only=True):
    """A salted commitment to a payload (hex), and the bucket of the payload's size in bytes."""

    digest: str
    size: int


class View(Part, frozen=True, kw_only=True):
    """The commitment to a context from which the values at *paths* (JSON pointers) are withheld."""

    paths: tuple[str, ...]
    context: Commitment


class Obligation(Part, frozen=True, kw_only=True):
    """Something that must be carried out for the verdict to stand."""

    type: Literal["redact", "approval", "notify"]
    paths: tuple[str, ...] = ()
    to: str | None = None
    expires: int | None = None


class OwnerClaim(Part, frozen=True, kw_only=True):
    """Whom the writer says it is: checked inside the commit."""

    member_id: str
    incarnation: int
    epoch: int


class Action(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="kind",
):
    """One thing to do.  Its tag is its name in the ledger."""

    right: ClassVar[str] = "operator"
    packet_id_: ClassVar[str | None] = None


# --- ledger and policy --------------------------------------------------------------------


class CreateLedger(Action, frozen=True, kw_only=True, tag="create_ledger"):
    """The first command of every ledger."""

    right: ClassVar[str] = "admin"
    origin: str
    engine: str
    semantics: int
    keys: tuple[tuple[str, str], ...]
    scheduler: str = "rendezvous"
    predecessor: tuple[str, int, str] | None = None


class Configure(Action, frozen=True, kw_only=True, tag="configure"):
    """Change settings that decisions read: name -> value as text."""

    right: ClassVar[str] = "admin"
    settings: Pairs


class ActivatePolicy(Action, frozen=True, kw_only=True, tag="activate_policy"):
    """Make a policy set binding.  The set itself is an attachment, by its digest."""

    right: ClassVar[str] = "admin"
    digest: str
    policies: tuple[tuple[str, str, str], ...]
    points: tuple[str, ...]


class RefusePolicy(Action, frozen=True, kw_only=True, tag="refuse_policy"):
    """Record that a policy set did not load."""

    right: ClassVar[str] = "admin"
    codes: tuple[str, ...]
    errors: int


class RotateKey(Action, frozen=True, kw_only=True, tag="rotate_key"):
    """Replace a key, or add one under the recovery key; signatures are (public key, signature) in hex."""

    right: ClassVar[str] = "admin"
    role: str
    old: str | None = None
    new: str
    signatures: tuple[tuple[str, str], ...]


class RevokeKey(Action, frozen=True, kw_only=True, tag="revoke_key"):
    """Revoke a key under the recovery key."""

    right: ClassVar[str] = "admin"
    role: str
    key: str
    suspect_from: int | None = None
    signatures: tuple[tuple[str, str], ...]


class EraseAttachment(Action, frozen=True, kw_only=True, tag="erase_attachment"):
    """Delete a payload and its salt."""

    right: ClassVar[str] = "admin"
    subject: str
    commitment: str
    why: Literal["data_subject_request", "retention", "operator_error", "legal_order"]


class CommitIndex(Action, frozen=True, kw_only=True, tag="commit_index"):
    """Commit the subject map; the appender fills in its root."""

    right: ClassVar[str] = "engine"


class HaltExpiry(Action, frozen=True, kw_only=True, tag="halt_expiry"):
    """Stop expiring leases: too many at once, or the clock jumped."""

    right: ClassVar[str] = "engine"
    cause: Literal["mass_expiry", "clock_jump"]
    overdue: int = 0
    leased: int = 0
    jump: int = 0


# --- members ------------------------------------------------------------------------------


class RegisterMember(Action, frozen=True, kw_only=True, tag="register_member"):
    """Join, or come back after FAILED or RETIRED."""

    right: ClassVar[str] = "member"
    member_id: str
    type: str
    capabilities: tuple[Capability, ...] = ()
    capacity: Pairs = ()
    region: str | None = None
    clearances: tuple[str, ...] = ()
    labels: Pairs = ()
    weight: int = 1
    public_key: str | None = None
    trust_score: str | None = None
    lease_seconds: int | None = None
    handoff_mode: Literal["auto", "accept"] = "auto"


class UpdateMember(Action, frozen=True, kw_only=True, tag="update_member"):
    """Change some fields; absent ones stay.  Capabilities by name: discovered or withdrawn."""

    right: ClassVar[str] = "member"
    member_id: str
    capacity: Pairs | None = None
    region: str | None = None
    clearances: tuple[str, ...] | None = None
    labels: Pairs | None = None
    weight: int | None = None
    lease_seconds: int | None = None
    handoff_mode: Literal["auto", "accept"] | None = None
    discovered: tuple[Capability, ...] = ()
    withdrawn: tuple[str, ...] = ()


class AssessTrust(Action, frozen=True, kw_only=True, tag="assess_trust"):
    """Set a member's trust: the assessor's right."""

    right: ClassVar[str] = "assessor"
    member_id: str
    score: str
    expires_at: int | None = None


class ExpireTrust(Action, frozen=True, kw_only=True, tag="expire_trust"):
    """The assessment's time is over."""

    right: ClassVar[str] = "engine"
    member_id: str


class ReportPressure(Action, frozen=True, kw_only=True, tag="report_pressure"):
    """A member says how loaded it is: a decimal string in 0..1."""

    right: ClassVar[str] = "member"
    member_id: str
    pressure: str


class ExpireLease(Action, frozen=True, kw_only=True, tag="expire_lease"):
    """A lease is overdue or over; the evidence is judged again when the command runs."""

    right: ClassVar[str] = "engine"
    member_id: str
    incarnation: int
    last_seen: int
    ttl: int
    stretch: int = 0


class SawHeartbeat(Action, frozen=True, kw_only=True, tag="saw_heartbeat"):
    """A suspect was heard again."""

    right: ClassVar[str] = "engine"
    member_id: str
    incarnation: int


class DrainMember(Action, frozen=True, kw_only=True, tag="drain_member"):
    """Move everything off a member, then retire it."""

    right: ClassVar[str] = "member"
    member_id: str
    deadline: int | None = None
    mode: Literal["stop_first", "start_first"] = "start_first"


class CancelDrain(Action, frozen=True, kw_only=True, tag="cancel_drain"):
    """The member stays after all."""

    right: ClassVar[str] = "member"
    member_id: str


class RetireMember(Action, frozen=True, kw_only=True, tag="retire_member"):
    """The member leaves; it must own nothing."""

    right: ClassVar[str] = "member"
    member_id: str


class FailMember(Action, frozen=True, kw_only=True, tag="fail_member"):
    """The member is dead."""

    right: ClassVar[str] = "operator"
    member_id: str
    reason: str | None = None


class RecoverMember(Action, frozen=True, kw_only=True, tag="recover_member"):
    """A failed member is back, owning nothing."""

    right: ClassVar[str] = "member"
    member_id: str


class QuarantineMember(Action, frozen=True, kw_only=True, tag="quarantine_member"):
    """No new work for this member."""

    right: ClassVar[str] = "operator"
    member_id: str
    reason: str | None = None
    until: int | None = None


class ReleaseMember(Action, frozen=True, kw_only=True, tag="release_member"):
    """End a quarantine."""

    right: ClassVar[str] = "operator"
    member_id: str


# --- packets ------------------------------------------------------------------------------


class SubmitPacket(Action, frozen=True, kw_only=True, tag="submit_packet"):
    """A new packet; placed at once unless held."""

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
    scheduler: str | None = None
    hold: bool | None = None


class PlacePacket(Action, frozen=True, kw_only=True, tag="place_packet"):
    """Find an owner for a packet that has none; with a target, judge only that member."""

    right: ClassVar[str] = "submitter"
    packet_id: str
    target: str | None = None
    views: tuple[View, ...] = ()


class HandOff(Action, frozen=True, kw_only=True, tag="hand_off"):
    """Start a handoff from the present owner."""

    right: ClassVar[str] = "member"
    packet_id: str
    target: str | None = None
    reason: str = "requested"
    views: tuple[View, ...] = ()


class AcceptHandoff(Action, frozen=True, kw_only=True, tag="accept_handoff"):
    """The target takes over: it names the handoff's position and the view it read."""

    right: ClassVar[str] = "member"
    packet_id: str
    member_id: str
    incarnation: int
    handoff: int
    view: str | None = None


class AbortHandoff(Action, frozen=True, kw_only=True, tag="abort_handoff"):
    """Call a pending handoff off (source, operator), or refuse it (target)."""

    right: ClassVar[str] = "member"
    packet_id: str
    member_id: str | None = None
    cause: Literal["requested", "timeout", "refused", "target_failed"] = "requested"


class CommitCheckpoint(Action, frozen=True, kw_only=True, tag="commit_checkpoint"):
    """The owner saves its progress."""

    right: ClassVar[str] = "member"
    packet_id: str
    owner: OwnerClaim
    step: str | None = None
    context: Commitment


class CompletePacket(Action, frozen=True, kw_only=True, tag="complete_packet"):
    """The owner has finished."""

    right: ClassVar[str] = "member"
    packet_id: str
    owner: OwnerClaim


class FailPacket(Action, frozen=True, kw_only=True, tag="fail_packet"):
    """The owner gives up for good."""

    right: ClassVar[str] = "member"
    packet_id: str
    owner: OwnerClaim
    reason: str


class RequeuePacket(Action, frozen=True, kw_only=True, tag="requeue_packet"):
    """The owner (with its claim) or an operator (without) puts the packet back."""

    right: ClassVar[str] = "member"
    packet_id: str
    owner: OwnerClaim | None = None
    reason: str = "requested"


class CancelPacket(Action, frozen=True, kw_only=True, tag="cancel_packet"):
    """Call the work off."""

    right: ClassVar[str] = "submitter"
    packet_id: str
    reason: str = "requested"


class ReviewPacket(Action, frozen=True, kw_only=True, tag="review_packet"):
    """Grant or refuse what policy escalated."""

    right: ClassVar[str] = "reviewer"
    packet_id: str
    granted: bool
    member_id: str | None = None
    expires_at: int | None = None
    note: str | None = None
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


class RejudgeOwner(Action, frozen=True, kw_only=True, tag="rejudge_owner"):
    """Judge the present owner again (``retain``); a denial revokes."""

    right: ClassVar[str] = "engine"
    packet_id: str
    epoch: int


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


AnyAction = (
    CreateLedger | Configure | ActivatePolicy | RefusePolicy | RotateKey | RevokeKey | EraseAttachment | CommitIndex
    | HaltExpiry | RegisterMember | UpdateMember | AssessTrust | ExpireTrust | ReportPressure | ExpireLease
    | SawHeartbeat | DrainMember | CancelDrain | RetireMember | FailMember | RecoverMember | QuarantineMember
    | ReleaseMember | SubmitPacket | UpdatePacket | PlacePacket | HandOff | AcceptHandoff | AbortHandoff
    | CommitCheckpoint | CompletePacket | FailPacket | RequeuePacket | CancelPacket | ReviewPacket | ExpireReview
    | RevokeOwner | RejudgeOwner | ExpirePacket | EvaluateDecision
)  # fmt: skip


class Principal(Part, frozen=True, kw_only=True):
    """Who asks: a pseudonymous id and the rights resolved for it at the edge."""

    id: str
    rights: tuple[str, ...]


class Command(Part, frozen=True, kw_only=True):
    """An action with who asked for it.  ``id`` is drawn by the engine and recorded: by it an answer is found again."""

    id: str
    principal: Principal
    do: AnyAction
    request_id: str | None = None


RIGHTS: Final = ("operator", "assessor", "reviewer", "auditor", "admin", "submitter", "engine")
"""Rights besides ``member:ID``, which lets a principal act for one member.  ``operator`` includes every member's and
the submitter's; ``engine`` is the engine's own and is never given to a key."""

ENGINE: Final = Principal(id="pfgov:engine", rights=("engine",))
"""The principal of follow-up commands."""

LOCAL_OPERATOR: Final = Principal(
    id="local", rights=("admin", "assessor", "operator", "reviewer", "submitter")
)
"""The person at the command line, who owns the files anyway."""
