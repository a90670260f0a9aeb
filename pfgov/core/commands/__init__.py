"""What can be asked: frozen, validated, carrying everything from outside that a decision may read.

A command holds its principal with the rights that were resolved for it, ids that were drawn at the edge and the
commitments to payloads that never enter the ledger.  It is embedded in the first entry that it causes, so that
an auditor can run it again.  Time is not in it: the entry's own time is.  This module checks nothing that needs
the state; the border (:mod:`pfgov.model`) has checked lengths, numbers and names already.
"""

from typing import Final

from pfgov.core.commands.base import Action
from pfgov.core.commands.ledger import (
    ActivatePolicy,
    ApprovePolicy,
    ChangeLeader,
    CommitIndex,
    Configure,
    CreateLedger,
    EraseAttachment,
    HaltExpiry,
    Observed,
    ProposePolicy,
    RefusePolicy,
    ResumeExpiry,
    RevokeKey,
    RevokePublisher,
    RotateKey,
    RotatePublisher,
    TrustPublisher,
)
from pfgov.core.commands.members import (
    AssessTrust,
    CancelDrain,
    DrainMember,
    ExpireLease,
    ExpireTrust,
    FailMember,
    QuarantineMember,
    RecoverMember,
    RegisterMember,
    ReleaseMember,
    ReportPressure,
    RetireMember,
    SawHeartbeat,
    UpdateMember,
)
from pfgov.core.commands.packets import (
    AbortHandoff,
    AcceptHandoff,
    CancelPacket,
    CommitCheckpoint,
    CompletePacket,
    EvaluateDecision,
    ExpirePacket,
    ExpireReview,
    FailPacket,
    HandOff,
    PlacePacket,
    RejudgeOwner,
    RequeuePacket,
    ReviewPacket,
    RevokeOwner,
    StallOwner,
    SubmitPacket,
    UpdatePacket,
)
from pfgov.core.commands.parts import (
    BundleRef,
    Capability,
    Commitment,
    Constraints,
    HandoffTerms,
    Obligation,
    OwnerClaim,
    Pairs,
    Part,
    Principal,
    ReportRef,
    Scan,
    Trust,
    View,
)

__all__ = [
    "ENGINE",
    "LOCAL_OPERATOR",
    "RIGHTS",
    "AbortHandoff",
    "AcceptHandoff",
    "Action",
    "ActivatePolicy",
    "AnyAction",
    "ApprovePolicy",
    "AssessTrust",
    "BundleRef",
    "CancelDrain",
    "CancelPacket",
    "Capability",
    "ChangeLeader",
    "Command",
    "CommitCheckpoint",
    "CommitIndex",
    "Commitment",
    "CompletePacket",
    "Configure",
    "Constraints",
    "CreateLedger",
    "DrainMember",
    "EraseAttachment",
    "EvaluateDecision",
    "ExpireLease",
    "ExpirePacket",
    "ExpireReview",
    "ExpireTrust",
    "FailMember",
    "FailPacket",
    "HaltExpiry",
    "HandOff",
    "HandoffTerms",
    "Obligation",
    "Observed",
    "OwnerClaim",
    "Pairs",
    "Part",
    "PlacePacket",
    "Principal",
    "ProposePolicy",
    "QuarantineMember",
    "RecoverMember",
    "RefusePolicy",
    "RegisterMember",
    "RejudgeOwner",
    "ReleaseMember",
    "ReportPressure",
    "ReportRef",
    "RequeuePacket",
    "ResumeExpiry",
    "RetireMember",
    "ReviewPacket",
    "RevokeKey",
    "RevokeOwner",
    "RevokePublisher",
    "RotateKey",
    "RotatePublisher",
    "SawHeartbeat",
    "Scan",
    "StallOwner",
    "SubmitPacket",
    "Trust",
    "TrustPublisher",
    "UpdateMember",
    "UpdatePacket",
    "View",
]

AnyAction = (
    CreateLedger | Configure | ActivatePolicy | ProposePolicy | ApprovePolicy | RefusePolicy | RotateKey | RevokeKey
    | TrustPublisher | RotatePublisher | RevokePublisher | EraseAttachment | CommitIndex | ChangeLeader
    | HaltExpiry | ResumeExpiry | RegisterMember | UpdateMember | AssessTrust | ExpireTrust | ReportPressure
    | ExpireLease | SawHeartbeat | DrainMember | CancelDrain | RetireMember | FailMember | RecoverMember
    | QuarantineMember | ReleaseMember | SubmitPacket | UpdatePacket | PlacePacket | HandOff | AcceptHandoff
    | AbortHandoff | CommitCheckpoint | CompletePacket | FailPacket | RequeuePacket | CancelPacket | ReviewPacket
    | ExpireReview | RevokeOwner | StallOwner | RejudgeOwner | ExpirePacket | EvaluateDecision
)  # fmt: skip


class Command(Part, frozen=True, kw_only=True):
    """An action with who asked for it.  ``id`` is drawn by the engine and recorded: by it an answer is found again."""

    id: str
    principal: Principal
    do: AnyAction
    request_id: str | None = None


RIGHTS: Final = (
    "operator", "assessor", "reviewer", "auditor", "admin", "submitter", "emergency", "engine",
)  # fmt: skip
"""Rights besides ``member:ID``, which lets a principal act for one member.  ``operator`` includes every member's and
the submitter's; ``emergency`` goes back to an earlier policy set whatever is demanded of an activation; ``engine`` is
the engine's own and is never given to a key."""

ENGINE: Final = Principal(id="pfgov:engine", rights=("engine",))
"""The principal of follow-up commands."""

LOCAL_OPERATOR: Final = Principal(
    id="local", rights=("admin", "assessor", "operator", "reviewer", "submitter")
)
"""The person at the command line, who owns the files anyway."""
