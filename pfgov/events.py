"""What can happen: the closed vocabulary of ledger bodies, one frozen type per event.

The type *is* the format: its fields, encoded as canonical JSON with sorted keys, are the ``body`` of an entry
(``ledger/FORMAT.md``), and its JSON Schema is generated from it.  Real numbers are canonical decimal strings
(:mod:`pfgov.quantity`), times are integer microseconds since the epoch, free-form maps are arrays of
``[name, value]`` pairs in byte order, absent fields are left out.  This module knows no rules: what an event does to
the state is in :mod:`pfgov.apply`, when it may happen is in :mod:`pfgov.decide`.
"""

from typing import ClassVar, Final, Literal

import msgspec

from pfgov.commands import (
    Capability,
    Command,
    Commitment,
    Constraints,
    HandoffTerms,
    Obligation,
    Pairs,
    Trust,
)

SEMANTICS: Final = 1
"""The number of the rules that ``decide`` follows; genesis and ``engine_upgraded`` record it for replay."""


class Event(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A body.  The first entry of a command carries the command itself."""

    type: ClassVar[str]
    command: Command | None = None


class _PacketEvent(Event, frozen=True, kw_only=True):
    packet_id: str

    @property
    def subject(self) -> str:
        """The subject whose chain the entry continues."""
        return f"packet/{self.packet_id}"


class _MemberEvent(Event, frozen=True, kw_only=True):
    member_id: str

    @property
    def subject(self) -> str:
        """The subject whose chain the entry continues."""
        return f"member/{self.member_id}"


class _LedgerEvent(Event, frozen=True, kw_only=True):
    @property
    def subject(self) -> str:
        """The subject whose chain the entry continues."""
        return "ledger"


class _PolicyEvent(Event, frozen=True, kw_only=True):
    @property
    def subject(self) -> str:
        """The subject whose chain the entry continues."""
        return "policy"


class _KeysEvent(Event, frozen=True, kw_only=True):
    @property
    def subject(self) -> str:
        """The subject whose chain the entry continues."""
        return "keys"


class _Part(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    pass


class SchedulerRef(_Part, frozen=True, kw_only=True):
    """Which scheduler ranked, exactly."""

    name: str
    version: str
    parameters: Pairs = ()


class Loser(_Part, frozen=True, kw_only=True):
    """A member that did not get the packet, and why."""

    member_id: str
    reasons: tuple[str, ...] = ()
    score: int | None = None


class Decision(_Part, frozen=True, kw_only=True):
    """How a verdict and a choice came about (RUNTIME, "One decision")."""

    point: str
    policy: str
    considered: int
    eligible: int
    rejected: tuple[tuple[str, int], ...] = ()
    scheduler: SchedulerRef | None = None
    score: int | None = None
    runner_up: str | None = None
    runner_up_score: int | None = None
    nearest: tuple[Loser, ...] = ()
    table: str
    shadow: tuple[tuple[str, int], ...] = ()


class Owner(_Part, frozen=True, kw_only=True):
    """A member in one of its lives."""

    member_id: str
    incarnation: int


class Imported(_Part, frozen=True, kw_only=True):
    """What a submitted packet claimed about its past; nobody signed for it."""

    current_owner: str | None = None
    previous_owners: tuple[str, ...] = ()
    status: str | None = None
    last_event: str | None = None
    state_hash: str | None = None


class Lease(_Part, frozen=True, kw_only=True):
    """Evidence of silence: times in microseconds; ``stretch`` is what the engine's own lag added."""

    last_seen: int
    ttl: int
    stretch: int = 0


class RuleRef(_Part, frozen=True, kw_only=True):
    """A rule of a policy, e.g. ``kernel/pii-review``."""

    policy: str
    rule: str


# --- ledger, keys, policy -----------------------------------------------------------------


class KeyRef(_Part, frozen=True, kw_only=True):
    """A public key in a role (``log``, ``issuer``, ``recovery``); hex of the 32 raw bytes."""

    role: str
    public: str


class Predecessor(_Part, frozen=True, kw_only=True):
    """The ledger that this one continues."""

    origin: str
    size: int
    root: str


class Configuration(_Part, frozen=True, kw_only=True):
    """What ``decide`` reads besides members, packets and policy.  Durations in microseconds."""

    scheduler: SchedulerRef
    schedulers: tuple[tuple[str, SchedulerRef], ...] = ()
    lease_seconds: int = 30
    suspect_permille: int = 667
    handoff_timeout: int = 60_000_000
    review_timeout: int = 86_400_000_000
    attempts_max: int = 16
    max_handoffs: int = 32
    half_life: int = 86_400_000_000
    expiry_share_permille: int = 500
    expiry_floor: int = 3
    clock_jump_max: int = 300_000_000
    pressure_high: str = "0.9"
    pressure_low: str = "0.7"
    rebalance_gain_permille: int = 250
    rebalance_budget: int = 16
    rebalance_cooldown: int = 60_000_000
    flap_limit: int = 3
    flap_window: int = 60_000_000
    flap_penalty: int = 60_000_000


class LedgerCreated(_LedgerEvent, frozen=True, kw_only=True):
    """The genesis entry."""

    type: ClassVar[str] = "ledger_created"
    origin: str
    semantics: int
    engine: str
    predecessor: Predecessor | None = None
    keys: tuple[KeyRef, ...]
    configuration: Configuration


class EngineUpgraded(_LedgerEvent, frozen=True, kw_only=True):
    """From here on, other rules hold."""

    type: ClassVar[str] = "engine_upgraded"
    semantics: int
    engine: str


class ConfigurationChanged(_LedgerEvent, frozen=True, kw_only=True):
    """The whole new configuration."""

    type: ClassVar[str] = "configuration_changed"
    configuration: Configuration


class ExpiryHalted(_LedgerEvent, frozen=True, kw_only=True):
    """Too many leases ended at once, or the clock jumped: nothing expires until somebody looks."""

    type: ClassVar[str] = "expiry_halted"
    cause: Literal["mass_expiry", "clock_jump"]
    overdue: int = 0
    leased: int = 0
    jump: int = 0


class IndexCommitted(_LedgerEvent, frozen=True, kw_only=True):
    """The root of the subject map over the entries before this one."""

    type: ClassVar[str] = "index_committed"
    size: int
    subjects: int
    root: str


class KeyRotated(_KeysEvent, frozen=True, kw_only=True):
    """A key takes over from another, both having signed (``ledger/FORMAT.md``, "Keys")."""

    type: ClassVar[str] = "key_rotated"
    role: str
    old: str | None = None
    new: str
    signatures: tuple[tuple[str, str], ...]


class KeyRevoked(_KeysEvent, frozen=True, kw_only=True):
    """A key's later signatures count for nothing."""

    type: ClassVar[str] = "key_revoked"
    role: str
    key: str
    suspect_from: int | None = None
    signatures: tuple[tuple[str, str], ...]


class AttachmentErased(Event, frozen=True, kw_only=True):
    """A payload and its salt were deleted; ``why`` is a closed code."""

    type: ClassVar[str] = "attachment_erased"
    subject_: str = msgspec.field(name="subject")
    commitment: str
    why: Literal["data_subject_request", "retention", "operator_error", "legal_order"]

    @property
    def subject(self) -> str:
        """The subject whose attachment it was."""
        return self.subject_


class PolicyRef(_Part, frozen=True, kw_only=True):
    """A policy of a set."""

    name: str
    version: str
    mode: str


class PolicyActivated(_PolicyEvent, frozen=True, kw_only=True):
    """A policy set is binding from here on."""

    type: ClassVar[str] = "policy_activated"
    digest: str
    previous: str | None = None
    policies: tuple[PolicyRef, ...]
    points: tuple[str, ...]


class PolicyRefused(_PolicyEvent, frozen=True, kw_only=True):
    """A policy set did not load; the last good one stays."""

    type: ClassVar[str] = "policy_refused"
    codes: tuple[str, ...]
    errors: int
    active: str | None = None


# --- members ------------------------------------------------------------------------------


class MemberRegistered(_MemberEvent, frozen=True, kw_only=True):
    """A member joined, or came back as its next incarnation."""

    type: ClassVar[str] = "member_registered"
    incarnation: int
    kind: str
    capabilities: tuple[Capability, ...] = ()
    capacity: Pairs = ()
    region: str | None = None
    clearances: tuple[str, ...] = ()
    labels: Pairs = ()
    weight: int = 1
    public_key: str | None = None
    trust: Trust | None = None
    claimed_trust: str | None = None
    lease_seconds: int | None = None
    handoff_mode: str = "auto"
    principal: str
    policy: str


class RegistrationDenied(_MemberEvent, frozen=True, kw_only=True):
    """Policy kept a member out."""

    type: ClassVar[str] = "registration_denied"
    policy: str
    reasons: tuple[str, ...]
    table: str


class MemberUpdated(_MemberEvent, frozen=True, kw_only=True):
    """New values of some fields; fields that are absent did not change."""

    type: ClassVar[str] = "member_updated"
    capacity: Pairs | None = None
    region: str | None = None
    clearances: tuple[str, ...] | None = None
    labels: Pairs | None = None
    weight: int | None = None
    lease_seconds: int | None = None
    handoff_mode: str | None = None


class CapabilityDiscovered(_MemberEvent, frozen=True, kw_only=True):
    """A member can do something new, or in a new version."""

    type: ClassVar[str] = "capability_discovered"
    capability: Capability


class CapabilityWithdrawn(_MemberEvent, frozen=True, kw_only=True):
    """A member no longer can."""

    type: ClassVar[str] = "capability_withdrawn"
    name: str


class TrustAssessed(_MemberEvent, frozen=True, kw_only=True):
    """An assessor set the member's trust."""

    type: ClassVar[str] = "trust_assessed"
    trust: Trust


class TrustExpired(_MemberEvent, frozen=True, kw_only=True):
    """The assessment ended; policies see no trust."""

    type: ClassVar[str] = "trust_expired"
    expired_at: int


class _IncarnationEvent(_MemberEvent, frozen=True, kw_only=True):
    incarnation: int


class MemberSuspected(_IncarnationEvent, frozen=True, kw_only=True):
    """The lease is overdue: no new work."""

    type: ClassVar[str] = "member_suspected"
    lease: Lease


class MemberFailed(_IncarnationEvent, frozen=True, kw_only=True):
    """The member is held for dead; all it owns is revoked."""

    type: ClassVar[str] = "member_failed"
    cause: Literal["lease_expired", "reported"]
    lease: Lease | None = None
    detail: str | None = None


class MemberRecovered(_IncarnationEvent, frozen=True, kw_only=True):
    """A heartbeat ended a suspicion (same incarnation), or a failed member is back (next one)."""

    type: ClassVar[str] = "member_recovered"


class MemberDraining(_IncarnationEvent, frozen=True, kw_only=True):
    """No new work; what it owns moves in order; at the deadline the rest is revoked."""

    type: ClassVar[str] = "member_draining"
    deadline: int | None = None
    mode: Literal["stop_first", "start_first"] = "start_first"


class DrainCancelled(_IncarnationEvent, frozen=True, kw_only=True):
    """The member stays."""

    type: ClassVar[str] = "drain_cancelled"


class MemberQuarantined(_IncarnationEvent, frozen=True, kw_only=True):
    """No new work until released; ``until`` where a penalty decays by itself."""

    type: ClassVar[str] = "member_quarantined"
    cause: Literal["requested", "flapping"]
    until: int | None = None
    detail: str | None = None


class MemberReleased(_IncarnationEvent, frozen=True, kw_only=True):
    """Back to the status before the quarantine."""

    type: ClassVar[str] = "member_released"
    status: str


class MemberRetired(_IncarnationEvent, frozen=True, kw_only=True):
    """The member is gone and owns nothing."""

    type: ClassVar[str] = "member_retired"


class PressureChanged(_MemberEvent, frozen=True, kw_only=True):
    """Reported pressure (0..1) crossed a threshold."""

    type: ClassVar[str] = "pressure_changed"
    pressure: str
    level: Literal["high", "normal"]


# --- packets ------------------------------------------------------------------------------


class PacketCreated(_PacketEvent, frozen=True, kw_only=True):
    """A packet was submitted."""

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
    hold: bool = False
    created_at: int
    lineage_id: str
    step: str | None = None
    context: Commitment | None = None
    imported: Imported | None = None
    again: str | None = None


class PacketUpdated(_PacketEvent, frozen=True, kw_only=True):
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
    scheduler: str | None = None
    hold: bool | None = None


Outcome = Literal["allowed", "denied", "escalated", "no_candidate", "no_capacity"]


class AssignmentDecision(_PacketEvent, frozen=True, kw_only=True):
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


class ReviewRequested(_PacketEvent, frozen=True, kw_only=True):
    """Somebody with the scope ``to`` has to look before the packet may move."""

    type: ClassVar[str] = "review_requested"
    point: str
    policy: str
    rules: tuple[RuleRef, ...]
    to: str
    member_id: str | None = None
    expires_at: int


class ReviewRecorded(_PacketEvent, frozen=True, kw_only=True):
    """A review: it discharges these rules, of this policy set, at this point, for a member or any."""

    type: ClassVar[str] = "review_recorded"
    granted: bool
    reviewer: str
    point: str
    policy: str
    rules: tuple[RuleRef, ...]
    member_id: str | None = None
    expires_at: int | None = None
    note: str | None = None


class ReviewExpired(_PacketEvent, frozen=True, kw_only=True):
    """Nobody reviewed in time."""

    type: ClassVar[str] = "review_expired"
    point: str
    rules: tuple[RuleRef, ...]


class HandoffStarted(_PacketEvent, frozen=True, kw_only=True):
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


class HandoffCompleted(_PacketEvent, frozen=True, kw_only=True):
    """The target accepted and was judged again: it owns the packet under the next epoch."""

    type: ClassVar[str] = "handoff_completed"
    epoch: int
    source: Owner
    owner: Owner
    decision: Decision


class HandoffDenied(_PacketEvent, frozen=True, kw_only=True):
    """Nobody may take the packet; its owner keeps it."""

    type: ClassVar[str] = "handoff_denied"
    epoch: int
    outcome: Outcome
    source: Owner
    reason: str
    decision: Decision


class HandoffEscalated(_PacketEvent, frozen=True, kw_only=True):
    """A handoff waits for a review; the owner keeps the packet."""

    type: ClassVar[str] = "handoff_escalated"
    epoch: int
    source: Owner
    reason: str
    decision: Decision


class HandoffAborted(_PacketEvent, frozen=True, kw_only=True):
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


class OwnershipRevoked(_PacketEvent, frozen=True, kw_only=True):
    """The owner lost the packet; ``epoch`` is the new one, under which nobody owns it."""

    type: ClassVar[str] = "ownership_revoked"
    epoch: int
    owner: Owner
    cause: Literal[
        "member_failed", "drain_deadline", "retain_denied", "pressure", "drain", "member_gone"
    ]
    reasons: tuple[str, ...] = ()


class PacketRequeued(_PacketEvent, frozen=True, kw_only=True):
    """The owner gave the packet back, or an operator took it back."""

    type: ClassVar[str] = "packet_requeued"
    epoch: int
    owner: Owner
    reason: str


class CheckpointCommitted(_PacketEvent, frozen=True, kw_only=True):
    """The owner saved its progress: a commitment to the context, and the step as a label."""

    type: ClassVar[str] = "checkpoint_committed"
    epoch: int
    owner: Owner
    step: str | None = None
    context: Commitment


class PacketCompleted(_PacketEvent, frozen=True, kw_only=True):
    """The owner finished the work."""

    type: ClassVar[str] = "packet_completed"
    epoch: int
    owner: Owner


class PacketFailed(_PacketEvent, frozen=True, kw_only=True):
    """The owner gave up, or a limit was reached."""

    type: ClassVar[str] = "packet_failed"
    epoch: int
    owner: Owner | None = None
    cause: Literal["owner", "max_handoffs", "attempts", "deadline"]
    reasons: tuple[str, ...] = ()


class PacketCancelled(_PacketEvent, frozen=True, kw_only=True):
    """Somebody with the right called it off."""

    type: ClassVar[str] = "packet_cancelled"
    epoch: int
    owner: Owner | None = None
    reason: str


class WriteRefused(_PacketEvent, frozen=True, kw_only=True):
    """A member that no longer owns the packet tried to write; the first time under this epoch."""

    type: ClassVar[str] = "write_refused"
    member_id: str
    incarnation: int
    claimed_epoch: int
    epoch: int
    action: str
    code: str


class DecisionEvaluated(_PacketEvent, frozen=True, kw_only=True):
    """A program asked whether a member may own a packet; nothing moved."""

    type: ClassVar[str] = "decision_evaluated"
    member_id: str
    outcome: Literal["allowed", "denied", "escalated"]
    reasons: tuple[str, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    decision: Decision


AnyEvent = (
    LedgerCreated | EngineUpgraded | ConfigurationChanged | ExpiryHalted | IndexCommitted | KeyRotated | KeyRevoked
    | AttachmentErased | PolicyActivated | PolicyRefused
    | MemberRegistered | RegistrationDenied | MemberUpdated | CapabilityDiscovered | CapabilityWithdrawn
    | TrustAssessed | TrustExpired | MemberSuspected | MemberFailed | MemberRecovered | MemberDraining | DrainCancelled
    | MemberQuarantined | MemberReleased | MemberRetired | PressureChanged
    | PacketCreated | PacketUpdated | AssignmentDecision | ReviewRequested | ReviewRecorded | ReviewExpired
    | HandoffStarted | HandoffCompleted | HandoffDenied | HandoffEscalated | HandoffAborted | OwnershipRevoked
    | CheckpointCommitted | PacketCompleted | PacketFailed | PacketRequeued | PacketCancelled | WriteRefused
    | DecisionEvaluated
)  # fmt: skip

EVENTS: Final[dict[str, type[Event]]] = {
    cls.type: cls
    for cls in (
        LedgerCreated, EngineUpgraded, ConfigurationChanged, KeyRotated, KeyRevoked, PolicyActivated, PolicyRefused,
        MemberRegistered, RegistrationDenied, MemberUpdated, CapabilityDiscovered, CapabilityWithdrawn,
        TrustAssessed, TrustExpired, MemberSuspected, MemberFailed, MemberRecovered, MemberDraining, DrainCancelled,
        MemberQuarantined, MemberReleased, MemberRetired, PressureChanged, PacketCreated, PacketUpdated,
        AssignmentDecision, ReviewRequested, ReviewRecorded, ReviewExpired, HandoffStarted, HandoffCompleted,
        HandoffDenied, HandoffEscalated, HandoffAborted, OwnershipRevoked, CheckpointCommitted, PacketCompleted,
        PacketFailed, PacketRequeued, PacketCancelled, WriteRefused, ExpiryHalted, DecisionEvaluated,
        AttachmentErased, IndexCommitted,
    )
}  # fmt: skip
"""Every event there is, by its name in the ledger."""

_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODERS: Final = {name: msgspec.json.Decoder(cls, strict=True) for name, cls in EVENTS.items()}


def encode_body(event: Event) -> bytes:
    """Return the canonical JSON of *event*: sorted keys, no spaces, absent fields left out."""
    return _ENCODER.encode(event)


def decode_body(name: str, raw: bytes) -> Event:
    """Return the event that canonical JSON stands for.

    Raises:
        KeyError: *name* is not in the vocabulary.
        msgspec.ValidationError: *raw* does not have that event's fields.
        msgspec.DecodeError: *raw* is not JSON.
    """
    return _DECODERS[name].decode(raw)
