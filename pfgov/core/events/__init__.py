"""What can happen: the closed vocabulary of ledger bodies, one frozen type per event.

The type *is* the format: its fields, encoded as canonical JSON with sorted keys, are the ``body`` of an entry
(``ledger/FORMAT.md``), and its JSON Schema is generated from it.  Real numbers are canonical decimal strings
(:mod:`pfgov.core.quantity`), times are integer microseconds since the epoch, free-form maps are arrays of
``[name, value]`` pairs in byte order, absent fields are left out.  This module knows no rules: what an event does to
the state is in :mod:`pfgov.core.apply`, when it may happen is in :mod:`pfgov.core.decide`.
"""

from typing import Final, get_args

from pfgov.core.events.base import (
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
    encode_body,
)
from pfgov.core.events.ledger import (
    AttachmentErased,
    Configuration,
    ConfigurationChanged,
    EngineUpgraded,
    ExpiryHalted,
    ExpiryResumed,
    IndexCommitted,
    KeyRef,
    KeyRevoked,
    KeyRotated,
    LeaderChanged,
    LedgerCreated,
    PolicyActivated,
    PolicyApproved,
    PolicyChangeRefused,
    PolicyDenied,
    PolicyProposed,
    PolicyRef,
    PolicyRefused,
    PolicyRejected,
    Predecessor,
    PublisherRevoked,
    PublisherRotated,
    PublisherTrusted,
)
from pfgov.core.events.members import (
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
from pfgov.core.events.packets import (
    NO_PROGRESS,
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
from pfgov.decoding import Reader

__all__ = [
    "EVENTS",
    "NO_PROGRESS",
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
    "ExpiryResumed",
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
    "LeaderChanged",
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
    "PolicyApproved",
    "PolicyChangeRefused",
    "PolicyDenied",
    "PolicyEvent",
    "PolicyProposed",
    "PolicyRef",
    "PolicyRefused",
    "PolicyRejected",
    "Predecessor",
    "PressureChanged",
    "PublisherRevoked",
    "PublisherRotated",
    "PublisherTrusted",
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

SEMANTICS: Final = 6
"""The number of the rules that ``decide`` follows; genesis and ``engine_upgraded`` record it for replay.

Since 2 a review that comes after its request expired counts for nothing, even before a tick has noticed.  Since 3 the
same holds for the acceptance of a handoff after its deadline, and a recorded decision answers for the packet as it
stands: not at all once it has ended, and no to its owner, who cannot be given what it has; a packet moves nowhere after
its deadline, the dead hand nothing on, and a write under an epoch that never was leaves no entry.  Since 4 work always
finds its way: an offer that nobody took goes to somebody else next and costs the packet nothing, policy filters before
the balancer chooses, one report of pressure moves one step, a breaker that is open can be closed on the record, whoever
could not keep a packet does not get it, and what is refused at creation is refused at change; what keeps a packet
waiting is counted over the members that are still there, and its owner is no target; a review holds for the version of
the packet that was looked at and lapses when a fact changes that its rules read, labels are set and changed by those
who may, and names have one spelling; what was found in a context counts among its packet's data classes.
Collections in commands stand in one order since then, too (:mod:`pfgov.core.canonical`).  Since 5
no two members on record look alike, and resource dimensions have one spelling; and a review that an owner's handoff
asked for ends: refused or expired it moves nothing later, granted it moves the packet whatever was tried meanwhile.
Since 6 a packet that is judged again to the same end has not changed: neither its version, nor since when it waits, nor
until when a review that was asked for can be given; and an update to what it is already is none.
"""

SEMANTICS_KNOWN: Final = frozenset({1, 2, 3, 4, 5, SEMANTICS})
"""The rules that this version can follow: a ledger goes on under those that it began with."""

AnyEvent = (
    LedgerCreated | EngineUpgraded | ConfigurationChanged | KeyRotated | KeyRevoked | PolicyActivated | PolicyDenied
    | PolicyRefused | PolicyProposed | PolicyApproved | PolicyRejected | PolicyChangeRefused
    | PublisherTrusted | PublisherRotated | PublisherRevoked
    | MemberRegistered | RegistrationDenied | MemberUpdated | CapabilityDiscovered | CapabilityWithdrawn
    | TrustAssessed | TrustExpired | MemberSuspected | MemberFailed | MemberRecovered | MemberDraining
    | DrainCancelled | MemberQuarantined | MemberReleased | MemberRetired | PressureChanged | PacketCreated
    | PacketUpdated | AssignmentDecision | ReviewRequested | ReviewRecorded | ReviewExpired | HandoffStarted
    | HandoffCompleted | HandoffDenied | HandoffEscalated | HandoffAborted | OwnershipRevoked | CheckpointCommitted
    | PacketCompleted | PacketFailed | PacketRequeued | PacketCancelled | WriteRefused | ExpiryHalted | ExpiryResumed
    | DecisionEvaluated | AttachmentErased | IndexCommitted | LeaderChanged
)  # fmt: skip
"""Every event there is: the one list of them."""

EVENTS: Final[dict[str, type[Event]]] = {cls.type: cls for cls in get_args(AnyEvent)}
"""Every event, by its name in the ledger."""

_DECODERS: Final = {name: Reader[Event](cls) for name, cls in EVENTS.items()}


def decode_body(name: str, raw: bytes) -> Event:
    """Return the event that canonical JSON stands for.

    Raises:
        KeyError: *name* is not in the vocabulary.
        msgspec.ValidationError: *raw* does not have that event's fields.
        msgspec.DecodeError: *raw* is not JSON.
    """
    return _DECODERS[name].decode(raw)
