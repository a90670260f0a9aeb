"""The rules: a pure function from the state and a command to the events that follow.

``decide`` reads no clock, draws nothing and writes nothing.  What it needs from outside and was not given it asks for
by raising :class:`NeedsPacketError` or :class:`NeedsViewError`: the shell supplies it and decides again.  A refusal
that is not worth an entry is raised as a :class:`~pfgov.errors.PfgovError`; one that is recorded comes back with its
entry.  One table says which function decides which command.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from pfgov.core import commands as c
from pfgov.core.decide import (
    change,
    evaluation,
    handoff,
    ledger,
    members,
    packets,
    publishing,
    review,
    revocation,
)
from pfgov.core.decide.context import (
    Context,
    Decided,
    NeedsOverlayError,
    NeedsPacketError,
    NeedsViewError,
    Tools,
)
from pfgov.core.decide.due import due, takings
from pfgov.core.decide.expiry import LeaseView
from pfgov.core.decide.guarding import PolicyDeniedError, recorded_denial
from pfgov.core.decide.queue import Memory, Progress, before
from pfgov.core.decide.resting import next_due
from pfgov.core.state import State

__all__ = [
    "RULES",
    "Context",
    "Decided",
    "LeaseView",
    "Memory",
    "NeedsOverlayError",
    "NeedsPacketError",
    "NeedsViewError",
    "Progress",
    "Tools",
    "before",
    "decide",
    "due",
    "next_due",
    "takings",
]

Rule = Callable[[Context, Any], Decided]
"""Decides one kind of command; the table pairs it with its type."""

RULES: Final[Mapping[type[c.Action], Rule]] = {
    c.CreateLedger: ledger.create,
    c.Configure: ledger.configure,
    c.ActivatePolicy: ledger.activate_policy,
    c.ProposePolicy: change.propose,
    c.ApprovePolicy: change.approve,
    c.TrustPublisher: publishing.trust,
    c.RotatePublisher: publishing.rotate,
    c.RevokePublisher: publishing.revoke,
    c.RefusePolicy: ledger.refuse_policy,
    c.RotateKey: ledger.rotate_key,
    c.RevokeKey: ledger.revoke_key,
    c.EraseAttachment: ledger.erase,
    c.CommitIndex: ledger.commit_index,
    c.ChangeLeader: ledger.change_leader,
    c.HaltExpiry: ledger.halt_expiry,
    c.ResumeExpiry: ledger.resume_expiry,
    c.RegisterMember: members.register,
    c.UpdateMember: members.update,
    c.AssessTrust: members.assess_trust,
    c.ExpireTrust: members.expire_trust,
    c.ReportPressure: members.report_pressure,
    c.ExpireLease: members.expire_lease,
    c.SawHeartbeat: members.saw_heartbeat,
    c.DrainMember: members.drain,
    c.CancelDrain: members.cancel_drain,
    c.RetireMember: members.retire,
    c.FailMember: members.fail,
    c.RecoverMember: members.recover,
    c.QuarantineMember: members.quarantine,
    c.ReleaseMember: members.release,
    c.SubmitPacket: packets.submit,
    c.UpdatePacket: packets.update,
    c.CommitCheckpoint: packets.checkpoint,
    c.CompletePacket: packets.complete,
    c.FailPacket: packets.fail,
    c.RequeuePacket: packets.requeue,
    c.CancelPacket: packets.cancel,
    c.ExpirePacket: packets.expire,
    c.PlacePacket: handoff.place,
    c.HandOff: handoff.hand_off,
    c.AcceptHandoff: handoff.accept,
    c.AbortHandoff: handoff.abort,
    c.ReviewPacket: review.review,
    c.ExpireReview: review.expire_review,
    c.RevokeOwner: revocation.revoke,
    c.StallOwner: revocation.stall,
    c.RejudgeOwner: revocation.rejudge,
    c.EvaluateDecision: evaluation.evaluate,
}
"""Every command and the rule that decides it."""


def decide(state: State, command: c.Command, now: int, tools: Tools) -> Decided:
    """Return what *command* comes to at *now* (microseconds since the epoch).

    Raises:
        PfgovError: refused, and nothing is to be recorded.
        NeedsPacketError: an ended packet has to be loaded first.
        NeedsViewError: a view of a context has to be committed to first.
        NeedsOverlayError: a redacted owner's context has to be completed first.
    """
    ctx = Context(state, command, now, tools)
    try:
        return _rule(command.do)(ctx, command.do)
    except PolicyDeniedError as refusal:
        return recorded_denial(ctx, refusal)


def _rule(action: c.Action) -> Rule:
    return RULES[type(action)]
