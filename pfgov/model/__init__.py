"""The border: wire models that turn JSON (or a YAML tree) into the frozen actions of :mod:`pfgov.core.commands`.

:mod:`~pfgov.model.border` reads hostile bytes, :func:`~pfgov.model.border.parse` checks a tree against a model and
says everything that is wrong with it, and each model's ``to_action`` returns what the engine may trust.  Nothing
here reads the state, the clock or a disk.
"""

from typing import TYPE_CHECKING

from pfgov.faces import face

if TYPE_CHECKING:
    from pfgov.model.border import Json, Wire, check_tree, parse, parse_json, read_json, write_json
    from pfgov.model.keeping import Erasure, KeyList, NewLedger, Revocation, Rotation
    from pfgov.model.ledger import Settings, Tick
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
    from pfgov.model.publishing import PublisherRevocation, PublisherRotation, PublisherTrust
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
    "NewLedger",
    "PacketUpdate",
    "Placement",
    "PolicyConstraints",
    "PressureReport",
    "PublisherRevocation",
    "PublisherRotation",
    "PublisherTrust",
    "Quarantine",
    "Requeue",
    "Review",
    "Revocation",
    "Rotation",
    "Settings",
    "Tick",
    "TrustAssessment",
    "Wire",
    "check_tree",
    "parse",
    "parse_json",
    "read_json",
    "write_json",
]

__getattr__ = face(
    __name__,
    {
        "pfgov.model.border": (
            "Json",
            "Wire",
            "check_tree",
            "parse",
            "parse_json",
            "read_json",
            "write_json",
        ),
        "pfgov.model.keeping": (
            "Erasure",
            "KeyList",
            "NewLedger",
            "Revocation",
            "Rotation",
        ),
        "pfgov.model.ledger": (
            "Settings",
            "Tick",
        ),
        "pfgov.model.member": (
            "CapabilityOffer",
            "Drain",
            "Failure",
            "Heartbeat",
            "MemberRegistration",
            "MemberUpdate",
            "PressureReport",
            "Quarantine",
            "TrustAssessment",
        ),
        "pfgov.model.packet": (
            "ContextCheckpoint",
            "FlightPacket",
            "PacketUpdate",
            "PolicyConstraints",
        ),
        "pfgov.model.publishing": (
            "PublisherRevocation",
            "PublisherRotation",
            "PublisherTrust",
        ),
        "pfgov.model.work": (
            "Abort",
            "Acceptance",
            "Cancellation",
            "Checkpoint",
            "Completion",
            "DecisionRequest",
            "GivingUp",
            "Handoff",
            "Placement",
            "Requeue",
            "Review",
        ),
    },
)
