"""What can be sent about members.

:class:`MemberRegistration` takes the specification's own request verbatim.  A trust score in it is a claim: it
counts only if the principal may attest, which is decided behind this border.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from pfgov.core import commands as c
from pfgov.limits import ATTRIBUTES_MAX, CAPABILITIES_MAX, CLEARANCES_MAX, OWNED_MAX
from pfgov.model.border import Wire, bounded
from pfgov.model.fields import (
    Bounded,
    CapabilityName,
    DataClass,
    HandoffMode,
    Id,
    LabelName,
    Labels,
    LabelValue,
    LeaseSeconds,
    Moment,
    Natural,
    NewMemberId,
    Positive,
    PublicKey,
    Quantity,
    Reason,
    Region,
    Resources,
    Score,
    Text,
    Version,
    Weight,
    decimal_text,
    pairs,
    refuse,
)

MemberType = Literal["agent", "service", "tool", "node", "vnode", "model", "human", "worker"]


class CapabilityOffer(Wire):
    """Something a member can do."""

    name: CapabilityName
    version: Version | None = None
    category: Id | None = None
    description: Text | None = None
    attributes: Annotated[dict[LabelName, LabelValue], Bounded(ATTRIBUTES_MAX)] = Field(default={})

    def to_part(self) -> c.Capability:
        """Return the capability as commands and events hold it."""
        return c.Capability(
            name=self.name,
            version=self.version,
            category=self.category,
            description=self.description,
            attributes=pairs(self.attributes),
        )


def _named(value: Any) -> Any:
    """A bare name stands for a capability without further fields."""
    return {"name": value} if isinstance(value, str) else value


Offers = Annotated[
    tuple[Annotated[CapabilityOffer, BeforeValidator(_named)], ...], Bounded(CAPABILITIES_MAX)
]
Clearances = Annotated[tuple[DataClass, ...], Bounded(CLEARANCES_MAX)]


class MemberRegistration(Wire):
    """A member that wants to join, as in the specification's request.

    ``cpu_capacity`` and ``memory_capacity`` are the specification's spelling of ``capacity.cpu`` and
    ``capacity.memory``.
    """

    id: NewMemberId
    type: MemberType
    capabilities: Offers = ()
    cpu_capacity: Quantity | None = None
    memory_capacity: Quantity | None = None
    capacity: Resources = Field(default={})
    trust_score: Score | None = None
    region: Region | None = None
    clearances: Clearances = ()
    labels: Labels = Field(default={})
    public_key: PublicKey | None = None
    lease_seconds: LeaseSeconds | None = None
    handoff_mode: HandoffMode = "auto"
    weight: Weight = 1

    @model_validator(mode="after")
    def _one_amount_each(self) -> Self:
        for name, value in (("cpu", self.cpu_capacity), ("memory", self.memory_capacity)):
            if value is not None and self.capacity.get(name, value) != value:
                raise refuse(
                    f"{name}_capacity is {value}, but capacity.{name} is {self.capacity[name]}",
                    hint="give it once",
                )
        return self

    def to_action(self) -> c.RegisterMember:
        """Return the command's action.

        Raises:
            TooLargeError: all fields together are more than an entry takes.
        """
        given = {"cpu": self.cpu_capacity, "memory": self.memory_capacity}
        amounts = self.capacity | {
            name: value for name, value in given.items() if value is not None
        }
        return bounded(
            c.RegisterMember(
                member_id=self.id,
                type=self.type,
                capabilities=tuple(offer.to_part() for offer in self.capabilities),
                capacity=pairs(amounts),
                region=self.region,
                clearances=self.clearances,
                labels=pairs(self.labels),
                weight=self.weight,
                public_key=self.public_key,
                trust_score=None if self.trust_score is None else decimal_text(self.trust_score),
                lease_seconds=self.lease_seconds,
                handoff_mode=self.handoff_mode,
            )
        )


class Change(Wire):
    """A change of some fields: absent ones stay, and null is refused because it could mean two things."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_null(cls, value: Any) -> Any:
        if value is None:
            raise refuse("null is not a value here", hint="leave the field out to keep what it is")
        return value


class MemberUpdate(Change):
    """New values of some of a member's fields; capabilities are discovered or withdrawn by name."""

    capacity: Resources | None = None
    region: Region | None = None
    clearances: Clearances | None = None
    labels: Labels | None = None
    weight: Weight | None = None
    lease_seconds: LeaseSeconds | None = None
    handoff_mode: HandoffMode | None = None
    discovered: Offers = ()
    withdrawn: Annotated[tuple[CapabilityName, ...], Bounded(CAPABILITIES_MAX)] = ()

    def to_action(self, *, member_id: str) -> c.UpdateMember:
        """Return the command's action for *member_id*.

        Raises:
            TooLargeError: all fields together are more than an entry takes.
        """
        return bounded(
            c.UpdateMember(
                member_id=member_id,
                capacity=None if self.capacity is None else pairs(self.capacity),
                region=self.region,
                clearances=self.clearances,
                labels=None if self.labels is None else pairs(self.labels),
                weight=self.weight,
                lease_seconds=self.lease_seconds,
                handoff_mode=self.handoff_mode,
                discovered=tuple(offer.to_part() for offer in self.discovered),
                withdrawn=self.withdrawn,
            )
        )


class TrustAssessment(Wire):
    """An assessor's score for a member."""

    score: Score
    expires_at: Moment | None = None

    def to_action(self, *, member_id: str) -> c.AssessTrust:
        """Return the command's action for *member_id*."""
        return c.AssessTrust(
            member_id=member_id, score=decimal_text(self.score), expires_at=self.expires_at
        )


class PressureReport(Wire):
    """How loaded a member says it is."""

    pressure: Score

    def to_action(self, *, member_id: str) -> c.ReportPressure:
        """Return the command's action for *member_id*."""
        return c.ReportPressure(member_id=member_id, pressure=decimal_text(self.pressure))


class Drain(Wire):
    """Move everything off a member, until the deadline; then revoke the rest.  Empty, it retires unless it stays."""

    deadline: Moment | None = None
    mode: Literal["stop_first", "start_first"] = "start_first"
    stays: bool = False

    def to_action(self, *, member_id: str) -> c.DrainMember:
        """Return the command's action for *member_id*."""
        return c.DrainMember(
            member_id=member_id, deadline=self.deadline, mode=self.mode, stays=self.stays
        )


class Failure(Wire):
    """Somebody reports that a member is dead."""

    reason: Reason | None = None

    def to_action(self, *, member_id: str) -> c.FailMember:
        """Return the command's action for *member_id*."""
        return c.FailMember(member_id=member_id, reason=self.reason)


class Quarantine(Wire):
    """No new work for a member."""

    reason: Reason | None = None
    until: Moment | None = None

    def to_action(self, *, member_id: str) -> c.QuarantineMember:
        """Return the command's action for *member_id*."""
        return c.QuarantineMember(member_id=member_id, reason=self.reason, until=self.until)


class Belief(Wire):
    """A packet that a member believes it owns, and under which epoch; with ``progressed`` it says that the work went on
    since its last heartbeat, or waits its turn.
    """

    packet_id: Id
    epoch: Natural
    progressed: bool = False


class Heartbeat(Wire):
    """A member is alive.  Never recorded, hence no action.

    ``session`` is a name that the process drew for itself: the first that is heard in a life of the member is bound to
    it, and no other process lives by that lease until it ``leaves``, or its lease runs out.  With ``take_over`` the
    bound one is told to go.  ``lease_seconds`` is the lease that it counts by: it is not shortened before it knows.
    With ``asks_why`` the answer says what keeps the member from the packets that wait.  ``knows`` is the ``position``
    of an answer that it had: it works on nothing that it does not name, nor will upon what it asked before that.
    """

    incarnation: Positive
    owns: Annotated[tuple[Belief, ...], Bounded(OWNED_MAX, unique=False)] = ()
    session: Id | None = None
    lease_seconds: LeaseSeconds | None = None
    take_over: bool = False
    leaves: bool = False
    asks_why: bool = False
    knows: Natural | None = None

    @model_validator(mode="after")
    def _who(self) -> Self:
        if self.session is None and (self.take_over or self.leaves):
            raise refuse("only a process that names its session takes over or leaves")
        return self
