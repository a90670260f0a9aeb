"""The border: wire models that turn JSON (or a YAML tree) into the frozen actions of :mod:`pfgov.commands`.

:mod:`~pfgov.model.reader` reads hostile bytes, :func:`~pfgov.model.border.parse` checks a tree against a model and
says everything that is wrong with it, and each model's ``to_action`` returns what the engine may trust.  Nothing
here reads the state, the clock or a disk.
"""

from pfgov.model.border import Wire, parse, parse_json
from pfgov.model.keeping import Erasure, KeyList, Revocation, Rotation
from pfgov.model.ledger import Settings
from pfgov.model.member import (
    CapabilityOffer,
    Drain,
    Failure,
    Heartbeat,
    MemberRegistration,
    MemberUpdate,
    PressureReport,
    Quarantine,
    TrustAssessment,
)
from pfgov.model.packet import ContextCheckpoint, FlightPacket, PacketUpdate, PolicyConstraints
from pfgov.model.reader import Json, check_tree, read_json, write_json
from pfgov.model.work import (
    Abort,
    Acceptance,
    Cancellation,
    Checkpoint,
    Completion,
    DecisionRequest,
    GivingUp,
    Handoff,
    Placement,
    Requeue,
    Review,
)

__all__ = [
    "Abort",
    "Acceptance",
    "Cancellation",
    "CapabilityOffer",
    "Checkpoint",
    "Completion",
    "ContextCheckpoint",
    "DecisionRequest",
    "Drain",
    "Erasure",
    "Failure",
    "FlightPacket",
    "GivingUp",
    "Handoff",
    "Heartbeat",
    "Json",
    "KeyList",
    "MemberRegistration",
    "MemberUpdate",
    "PacketUpdate",
    "Placement",
    "PolicyConstraints",
    "PressureReport",
    "Quarantine",
    "Requeue",
    "Review",
    "Revocation",
    "Rotation",
    "Settings",
    "TrustAssessment",
    "Wire",
    "check_tree",
    "parse",
    "parse_json",
    "read_json",
    "write_json",
]
