"""What can be sent about a packet that exists: placing, handing off, saving progress, ending, reviewing.

Whoever writes as an owner says which member in which life it is, and under which epoch it believes to own the packet;
the claim is checked inside the commit.  Views of a context after redaction are computed by the edge and handed to
``to_action``.
"""

from typing import Literal, Self

from pydantic import ConfigDict, model_validator

from pfgov.core import commands as c
from pfgov.errors import TooLargeError
from pfgov.limits import CONTEXT_BYTES_MAX
from pfgov.model.border import Wire, write_json
from pfgov.model.fields import (
    Digest,
    Id,
    Moment,
    Natural,
    Positive,
    Reason,
    Text,
    refuse,
)
from pfgov.model.packet import ContextCheckpoint


class OwnerWrite(Wire):
    """What every write of an owner names."""

    member_id: Id
    incarnation: Positive
    epoch: Natural

    def to_claim(self) -> c.OwnerClaim:
        """Return the claim as commands hold it."""
        return c.OwnerClaim(
            member_id=self.member_id, incarnation=self.incarnation, epoch=self.epoch
        )


class ClaimedWrite(Wire):
    """A member names itself, its life and the epoch; an operator names nobody."""

    member_id: Id | None = None
    incarnation: Positive | None = None
    epoch: Natural | None = None

    def to_claim(self) -> c.OwnerClaim | None:
        """Return the claim as commands hold it, if there is one."""
        if self.member_id is None or self.incarnation is None or self.epoch is None:
            return None
        return c.OwnerClaim(
            member_id=self.member_id, incarnation=self.incarnation, epoch=self.epoch
        )


def _whole_claim(wire: ClaimedWrite) -> None:
    given = [name is not None for name in (wire.member_id, wire.incarnation, wire.epoch)]
    if any(given) and not all(given):
        raise refuse(
            "an owner names member_id, incarnation and epoch, all three",
            hint="read the packet: current_owner, incarnation and epoch; an operator names none of them",
        )


class Placement(Wire):
    """Find an owner for a packet; with a target, judge only that member."""

    target: Id | None = None

    def to_action(self, *, packet_id: str, views: tuple[c.View, ...] = ()) -> c.PlacePacket:
        """Return the command's action for *packet_id*."""
        return c.PlacePacket(packet_id=packet_id, target=self.target, views=views)


class Handoff(ClaimedWrite):
    """Move a packet away from its owner, to a target or to whoever is best; a member that does it names itself."""

    target: Id | None = None
    reason: Reason = "requested"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _whole_claim(self)
        return self

    def to_action(self, *, packet_id: str, views: tuple[c.View, ...] = ()) -> c.HandOff:
        """Return the command's action for *packet_id*."""
        return c.HandOff(
            packet_id=packet_id,
            target=self.target,
            reason=self.reason,
            views=views,
            owner=self.to_claim(),
        )


class Acceptance(Wire):
    """The target takes over: it names the position of the handoff and the view of the context that it read."""

    member_id: Id
    incarnation: Positive
    handoff: Natural
    view: Digest | None = None

    def to_action(self, *, packet_id: str) -> c.AcceptHandoff:
        """Return the command's action for *packet_id*."""
        return c.AcceptHandoff(
            packet_id=packet_id,
            member_id=self.member_id,
            incarnation=self.incarnation,
            handoff=self.handoff,
            view=self.view,
        )


class Abort(ClaimedWrite):
    """Call a pending handoff off, or refuse it as its target: naming life and epoch, or as an operator for either."""

    cause: Literal["requested", "refused"] = "requested"
    handoff: Natural | None = None

    @model_validator(mode="after")
    def _who(self) -> Self:
        if self.incarnation is not None or self.epoch is not None:
            _whole_claim(self)
        return self

    def to_action(self, *, packet_id: str) -> c.AbortHandoff:
        """Return the command's action for *packet_id*."""
        return c.AbortHandoff(
            packet_id=packet_id,
            member_id=self.member_id,
            cause=self.cause,
            owner=self.to_claim(),
            handoff=self.handoff,
        )


class Checkpoint(OwnerWrite):
    """The owner saves its progress.  The context is a payload; its step is kept as a label."""

    context_checkpoint: ContextCheckpoint

    def context_payload(self) -> bytes:
        """Return the bytes that the edge commits to.

        Raises:
            TooLargeError: more than ``CONTEXT_BYTES_MAX``.
        """
        return self.context_checkpoint.payload()

    def to_action(
        self, *, packet_id: str, context: c.Commitment, scan: c.Scan | None = None
    ) -> c.CommitCheckpoint:
        """Return the action for *packet_id*: the commitment over :meth:`context_payload`, and what was found in it."""
        return c.CommitCheckpoint(
            packet_id=packet_id,
            owner=self.to_claim(),
            step=self.context_checkpoint.step,
            context=context,
            scan=scan,
        )


class WorkResult(Wire):
    """What came of a packet's work.  Its fields are free; the ledger holds a commitment to it."""

    model_config = ConfigDict(extra="allow")


class Completion(OwnerWrite):
    """The owner has finished; with a result, which the submitter may read."""

    result: WorkResult | None = None

    def result_payload(self) -> bytes | None:
        """Return the bytes that the edge commits to, if there is a result: keys sorted.

        Raises:
            TooLargeError: more than ``CONTEXT_BYTES_MAX``.
        """
        if self.result is None:
            return None
        raw = write_json(dict(self.result.model_extra or {}))
        if len(raw) > CONTEXT_BYTES_MAX:
            raise TooLargeError(
                f"the result is {len(raw)} bytes, more than the {CONTEXT_BYTES_MAX} allowed",
                hint="keep large data in your own store and put a reference to it into the result",
                pointer="/result",
            )
        return raw

    def to_action(self, *, packet_id: str, result: c.Commitment | None = None) -> c.CompletePacket:
        """Return the command's action for *packet_id*, with the commitment over :meth:`result_payload`."""
        return c.CompletePacket(packet_id=packet_id, owner=self.to_claim(), result=result)


class GivingUp(OwnerWrite):
    """The owner gives up for good."""

    reason: Reason

    def to_action(self, *, packet_id: str) -> c.FailPacket:
        """Return the command's action for *packet_id*."""
        return c.FailPacket(packet_id=packet_id, owner=self.to_claim(), reason=self.reason)


class Requeue(ClaimedWrite):
    """The owner (naming itself) gives the packet back, or an operator (naming nobody) takes it back.

    With ``elsewhere`` whoever had it gets it again only when nobody else may have it that did not give it back so.
    """

    reason: Reason = "requested"
    elsewhere: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _whole_claim(self)
        return self

    def to_action(self, *, packet_id: str) -> c.RequeuePacket:
        """Return the command's action for *packet_id*."""
        return c.RequeuePacket(
            packet_id=packet_id,
            owner=self.to_claim(),
            reason=self.reason,
            elsewhere=self.elsewhere,
        )


class Cancellation(Wire):
    """Call the work off."""

    reason: Reason = "requested"

    def to_action(self, *, packet_id: str) -> c.CancelPacket:
        """Return the command's action for *packet_id*."""
        return c.CancelPacket(packet_id=packet_id, reason=self.reason)


class Review(Wire):
    """Grant or refuse what policy escalated, for one member or any, in the ``version`` that was looked at."""

    granted: bool
    version: Natural | None = None
    member_id: Id | None = None
    expires_at: Moment | None = None
    note: Text | None = None

    def to_action(self, *, packet_id: str, views: tuple[c.View, ...] = ()) -> c.ReviewPacket:
        """Return the command's action for *packet_id*."""
        return c.ReviewPacket(
            packet_id=packet_id,
            granted=self.granted,
            member_id=self.member_id,
            expires_at=self.expires_at,
            note=self.note,
            version=self.version,
            views=views,
        )


class DecisionRequest(Wire):
    """May this member own this packet?  Recorded, and nothing moves."""

    packet_id: Id
    member_id: Id
    point: Literal["assign", "handoff", "accept", "retain"] | None = None

    def to_action(self) -> c.EvaluateDecision:
        """Return the command's action."""
        return c.EvaluateDecision(
            packet_id=self.packet_id, member_id=self.member_id, point=self.point
        )
