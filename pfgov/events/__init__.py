"""What can happen: the closed vocabulary of ledger bodies, one frozen type per event.

The type *is* the format: its fields, encoded as canonical JSON with sorted keys, are the ``body`` of an entry
(``ledger/FORMAT.md``), and its JSON Schema is generated from it.  Real numbers are canonical decimal strings
(:mod:`pfgov.quantity`), times are integer microseconds since the epoch, free-form maps are arrays of
``[name, value]`` pairs in byte order, absent fields are left out.  This module knows no rules: what an event does to
the state is in :mod:`pfgov.apply`, when it may happen is in :mod:`pfgov.decide`.
"""

from typing import Final

import msgspec

from pfgov.events.base import (
    Decision,
    Event,
    Imported,
    KeysEvent,
    Lease,
    LedgerEvent,
    Loser,
    MemberEvent,
    Owner,
    PacketEvent,
    PolicyEvent,
    RuleRef,
    SchedulerRef,
)
from pfgov.events.ledger import (
    AttachmentErased,
    Configuration,
    ConfigurationChanged,
    EngineUpgraded,
    ExpiryHalted,
    IndexCommitted,
    KeyRef,
    KeyRevoked,
    KeyRotated,
    LedgerCreated,
    PolicyActivated,
    PolicyRef,
    PolicyRefused,
    Predecessor,
)
from pfgov.events.members import (
    CapabilityDiscovered,
    CapabilityWithdrawn,
    DrainCancelled,
    IncarnationEvent,
    MemberDraining,
    MemberFailed,
    MemberQuarantined,
    MemberRecovered,
    MemberRegistered,
    MemberReleased,
    MemberRetired,
    MemberSuspected,
    MemberUpdated,
    PressureChanged,
    RegistrationDenied,
    TrustAssessed,
    TrustExpired,
)
from pfgov.events.packets import (
    AssignmentDecision,
    CheckpointCommitted,
    DecisionEvaluated,
    HandoffAborted,
    HandoffCompleted,
    HandoffDenied,
    HandoffEscalated,
    HandoffStarted,
    Outcome,
    OwnershipRevoked,
    PacketCancelled,
    PacketCompleted,
    PacketCreated,
    PacketFailed,
    PacketRequeued,
    PacketUpdated,
    ReviewExpired,
    ReviewRecorded,
    ReviewRequested,
    WriteRefused,
)

__all__ = [
    "EVENTS",
    "SEMANTICS",
    "SEMANTICS_KNOWN",
    "AnyEvent",
    "AssignmentDecision",
    "AttachmentErased",
    "CapabilityDiscovered",
    "CapabilityWithdrawn",
    "CheckpointCommitted",
    "Configuration",
    "ConfigurationChanged",
    "Decision",
    "DecisionEvaluated",
    "DrainCancelled",
    "EngineUpgraded",
    "Event",
    "ExpiryHalted",
    "HandoffAborted",
    "HandoffCompleted",
    "HandoffDenied",
    "HandoffEscalated",
    "HandoffStarted",
    "Imported",
    "IncarnationEvent",
    "IndexCommitted",
    "KeyRef",
    "KeyRevoked",
    "KeyRotated",
    "KeysEvent",
    "Lease",
    "LedgerCreated",
    "LedgerEvent",
    "Loser",
    "MemberDraining",
    "MemberEvent",
    "MemberFailed",
    "MemberQuarantined",
    "MemberRecovered",
    "MemberRegistered",
    "MemberReleased",
    "MemberRetired",
    "MemberSuspected",
    "MemberUpdated",
    "Outcome",
    "Owner",
    "OwnershipRevoked",
    "PacketCancelled",
    "PacketCompleted",
    "PacketCreated",
    "PacketEvent",
    "PacketFailed",
    "PacketRequeued",
    "PacketUpdated",
    "PolicyActivated",
    "PolicyEvent",
    "PolicyRef",
    "PolicyRefused",
    "Predecessor",
    "PressureChanged",
    "RegistrationDenied",
    "ReviewExpired",
    "ReviewRecorded",
    "ReviewRequested",
    "RuleRef",
    "SchedulerRef",
    "TrustAssessed",
    "TrustExpired",
    "WriteRefused",
    "decode_body",
    "encode_body",
]

SEMANTICS: Final = 3
"""The number of the rules that ``decide`` follows; genesis and ``engine_upgraded`` record it for replay.

Since 2 a review that comes after its request expired counts for nothing, even before a tick has noticed.  Since 3 the
same holds for the acceptance of a handoff after its deadline, and a recorded decision answers for the packet as it
stands: not at all once it has ended, and no to its owner, who cannot be given what it has; a packet moves nowhere after
its deadline, the dead hand nothing on, and a write under an epoch that never was leaves no entry.
"""

SEMANTICS_KNOWN: Final = frozenset({1, 2, SEMANTICS})
"""The rules that this version can follow: a ledger goes on under those that it began with."""

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
