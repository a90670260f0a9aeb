"""What can be sent about a packet that exists: placing, handing off, saving progress, ending, reviewing.

Whoever writes as an owner says which member in which life it is, and under which epoch it believes to own the packet;
the claim is checked inside the commit.  Views of a context after redaction are computed by the edge and handed to
``to_action``.
"""

from typing import Literal, Self

from pydantic import model_validator

from pfgov import commands as c
from pfgov.model.border import Wire, bounded
from pfgov.model.fields import Digest, Id, Moment, Natural, Positive, Text, refuse
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


class Placement(Wire):
    """Find an owner for a packet; with a target, judge only that member."""

    target: Id | None = None

    def to_action(self, *, packet_id: str, views: tuple[c.View, ...] = ()) -> c.PlacePacket:
        """Return the command's action for *packet_id*."""
        return bounded(c.PlacePacket(packet_id=packet_id, target=self.target, views=views))


class Handoff(Wire):
    """Move a packet away from its owner, to a target or to whoever is best."""

    target: Id | None = None
    reason: Text = "requested"

    def to_action(self, *, packet_id: str, views: tuple[c.View, ...] = ()) -> c.HandOff:
        """Return the command's action for *packet_id*."""
        return bounded(
            c.HandOff(packet_id=packet_id, target=self.target, reason=self.reason, views=views)
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


class Abort(Wire):
    """Call a pending handoff off, or refuse it as its target."""

    member_id: Id | None = None
    cause: Literal["requested", "refused"] = "requested"

    def to_action(self, *, packet_id: str) -> c.AbortHandoff:
        """Return the command's action for *packet_id*."""
        return c.AbortHandoff(packet_id=packet_id, member_id=self.member_id, cause=self.cause)


class Checkpoint(OwnerWrite):
    """The owner saves its progress.  The context is a payload; its step is kept as a label."""

    context_checkpoint: ContextCheckpoint

    def context_payload(self) -> bytes:
        """Return the bytes that the edge commits to.

        Raises:
            TooLargeError: more than ``CONTEXT_BYTES_MAX``.
        """
        return self.context_checkpoint.payload()

    def to_action(self, *, packet_id: str, context: c.Commitment) -> c.CommitCheckpoint:
        """Return the command's action for *packet_id*, with the commitment over :meth:`context_payload`."""
        return c.CommitCheckpoint(
            packet_id=packet_id,
            owner=self.to_claim(),
            step=self.context_checkpoint.step,
            context=context,
        )


class Completion(OwnerWrite):
    """The owner has finished."""

    def to_action(self, *, packet_id: str) -> c.CompletePacket:
        """Return the command's action for *packet_id*."""
        return c.CompletePacket(packet_id=packet_id, owner=self.to_claim())


class GivingUp(OwnerWrite):
    """The owner gives up for good."""

    reason: Text

    def to_action(self, *, packet_id: str) -> c.FailPacket:
        """Return the command's action for *packet_id*."""
        return c.FailPacket(packet_id=packet_id, owner=self.to_claim(), reason=self.reason)


class Requeue(Wire):
    """The owner (naming itself) gives the packet back, or an operator (naming nobody) takes it back."""

    member_id: Id | None = None
    incarnation: Positive | None = None
    epoch: Natural | None = None
    reason: Text = "requested"

    @model_validator(mode="after")
    def _whole_claim(self) -> Self:
        given = [name is not None for name in (self.member_id, self.incarnation, self.epoch)]
        if any(given) and not all(given):
            raise refuse("an owner names member_id, incarnation and epoch, all three")
        return self

    def to_action(self, *, packet_id: str) -> c.RequeuePacket:
        """Return the command's action for *packet_id*."""
        owner = None
        if self.member_id is not None and self.incarnation is not None and self.epoch is not None:
            owner = c.OwnerClaim(
                member_id=self.member_id, incarnation=self.incarnation, epoch=self.epoch
            )
        return c.RequeuePacket(packet_id=packet_id, owner=owner, reason=self.reason)


class Cancellation(Wire):
    """Call the work off."""

    reason: Text = "requested"

    def to_action(self, *, packet_id: str) -> c.CancelPacket:
        """Return the command's action for *packet_id*."""
        return c.CancelPacket(packet_id=packet_id, reason=self.reason)


class Review(Wire):
    """Grant or refuse what policy escalated, for one member or any."""

    granted: bool
    member_id: Id | None = None
    expires_at: Moment | None = None
    note: Text | None = None

    def to_action(self, *, packet_id: str, views: tuple[c.View, ...] = ()) -> c.ReviewPacket:
        """Return the command's action for *packet_id*."""
        return bounded(
            c.ReviewPacket(
                packet_id=packet_id,
                granted=self.granted,
                member_id=self.member_id,
                expires_at=self.expires_at,
                note=self.note,
                views=views,
            )
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
