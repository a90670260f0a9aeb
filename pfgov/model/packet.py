"""What can be sent about packets.

:class:`FlightPacket` is the specification's envelope, field by field, with what pfgov adds.  A packet may arrive in
mid-life, with an owner, a history and a status: nobody signed for those, so they become *claims* in the first
ledger entry.  The context checkpoint as a whole is a payload, which enters the ledger as a salted commitment only;
its ``step`` is kept as a label.
"""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, field_validator

from pfgov.core import commands as c
from pfgov.errors import TooLargeError
from pfgov.limits import (
    CAPABILITIES_MAX,
    CLEARANCES_MAX,
    CONTEXT_BYTES_MAX,
    PREVIOUS_OWNERS_MAX,
    REGIONS_MAX,
)
from pfgov.model.border import Wire, bounded, write_json
from pfgov.model.fields import (
    Bounded,
    DataClass,
    HandoffCount,
    Id,
    Labels,
    Moment,
    Priority,
    ProgressSeconds,
    Region,
    Required,
    Resources,
    Score,
    Text,
    WorkloadType,
    decimal_text,
    pairs,
    refuse,
)
from pfgov.model.member import Change

Requirements = Annotated[tuple[Required, ...], Bounded(CAPABILITIES_MAX)]
Regions = Annotated[tuple[Region, ...], Bounded(REGIONS_MAX)]
DataClasses = Annotated[tuple[DataClass, ...], Bounded(CLEARANCES_MAX)]


class ContextCheckpoint(Wire):
    """The work's own state.  Its fields are free; pfgov reads two of them, and shows only the step to policies."""

    model_config = ConfigDict(extra="allow")

    step: Text | None = None
    state_hash: Text | None = None

    def payload(self) -> bytes:
        """Return the bytes that a commitment is made over: the whole checkpoint, keys sorted.

        Raises:
            TooLargeError: more than ``CONTEXT_BYTES_MAX``.
        """
        named = {
            name: getattr(self, name) for name in self.model_fields_set & {"step", "state_hash"}
        }
        raw = write_json({**named, **(self.model_extra or {})})
        if len(raw) > CONTEXT_BYTES_MAX:
            raise TooLargeError(
                f"the context is {len(raw)} bytes, more than the {CONTEXT_BYTES_MAX} allowed",
                hint="keep large data in your own store and put a reference to it into the context",
                pointer="/context_checkpoint",
            )
        return raw


class PolicyConstraints(Wire):
    """What the packet itself demands.  Without ``allowed_regions`` any region will do, with an empty list none."""

    pii_review_required: bool = False
    minimum_trust_score: Score | None = None
    allowed_regions: Regions | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _no_null(cls, value: Any) -> Any:
        if value is None:
            raise refuse(
                "null is not a constraint",
                hint="leave the field out if there is no such constraint; [] allows no region",
            )
        return value

    def to_part(self) -> c.Constraints:
        """Return the constraints as commands and events hold them."""
        floor = self.minimum_trust_score
        return c.Constraints(
            pii_review_required=self.pii_review_required,
            minimum_trust_score=None if floor is None else decimal_text(floor),
            allowed_regions=self.allowed_regions,
        )


class HandoffTerms(Wire):
    """Whether the packet may move once it is owned, and why it last did."""

    allowed: bool = True
    reason: Text | None = None

    def to_part(self) -> c.HandoffTerms:
        """Return the terms as commands and events hold them."""
        return c.HandoffTerms(allowed=self.allowed, reason=self.reason)


class Audit(Wire):
    """What a packet says about its past."""

    created_at: Moment | None = None
    last_event: Id | None = None
    lineage_id: Id | None = None


class FlightPacket(Wire):
    """A portable unit of work, as the specification prints it, with pfgov's further fields.

    ``current_owner``, ``previous_owners``, ``status``, ``audit.last_event`` and ``context_checkpoint.state_hash``
    are claims: they are recorded as imported and not believed.
    """

    packet_id: Id | None = None
    workload_type: WorkloadType
    required_capabilities: Requirements = ()
    current_owner: Id | None = None
    previous_owners: Annotated[tuple[Id, ...], Bounded(PREVIOUS_OWNERS_MAX, unique=False)] = ()
    context_checkpoint: ContextCheckpoint | None = None
    policy_constraints: PolicyConstraints = PolicyConstraints()
    handoff: HandoffTerms = HandoffTerms()
    audit: Audit = Audit()
    status: Id | None = None
    demand: Resources = Field(default={})
    data_classes: DataClasses = ()
    priority: Priority = 0
    labels: Labels = Field(default={})
    scheduler: Id | None = None
    deadline: Moment | None = None
    max_handoffs: HandoffCount | None = None
    progress_seconds: ProgressSeconds | None = None
    hold: bool = False
    again: Id | None = None

    def context_payload(self) -> bytes | None:
        """Return the bytes of the context checkpoint, if there is one: to be committed to, never recorded.

        Raises:
            TooLargeError: more than ``CONTEXT_BYTES_MAX``.
        """
        return self.context_checkpoint.payload() if self.context_checkpoint else None

    def to_action(
        self,
        *,
        packet_id: str,
        context: c.Commitment | None = None,
        scan: c.Scan | None = None,
    ) -> c.SubmitPacket:
        """Return the command's action.

        Args:
            packet_id: The packet's own id, or the one that the edge drew because it has none.
            context: The commitment that the edge made over :meth:`context_payload`, if there is one.
            scan: What the edge found in it.

        Raises:
            TooLargeError: all fields together are more than an entry takes.
            ValueError: *context* does not go with the packet; the caller is wrong.
        """
        if (context is None) != (self.context_checkpoint is None):
            raise ValueError("a context needs its commitment, and a commitment its context")
        if self.packet_id not in (None, packet_id):
            raise ValueError(f"the packet is {self.packet_id}, not {packet_id}")
        checkpoint = self.context_checkpoint or ContextCheckpoint()
        return bounded(
            c.SubmitPacket(
                packet_id=packet_id,
                workload_type=self.workload_type,
                required_capabilities=self.required_capabilities,
                constraints=self.policy_constraints.to_part(),
                handoff=self.handoff.to_part(),
                demand=pairs(self.demand),
                data_classes=self.data_classes,
                priority=self.priority,
                labels=pairs(self.labels),
                scheduler=self.scheduler,
                deadline=self.deadline,
                max_handoffs=self.max_handoffs,
                progress_seconds=self.progress_seconds,
                hold=self.hold,
                created_at=self.audit.created_at,
                lineage_id=self.audit.lineage_id or packet_id,
                step=checkpoint.step,
                context=context,
                claimed_owner=self.current_owner,
                claimed_owners=self.previous_owners,
                claimed_status=self.status,
                claimed_event=self.audit.last_event,
                claimed_state_hash=checkpoint.state_hash,
                again=self.again,
                scan=scan,
            ),
            self.required_capabilities,
            self.policy_constraints.allowed_regions,
            self.demand,
            self.data_classes,
            self.labels,
            self.previous_owners,
        )


class PacketUpdate(Change):
    """New values of some of a packet's fields; constraints can only become narrower."""

    required_capabilities: Requirements | None = None
    policy_constraints: PolicyConstraints | None = None
    data_classes: DataClasses | None = None
    handoff: HandoffTerms | None = None
    demand: Resources | None = None
    labels: Labels | None = None
    priority: Priority | None = None
    deadline: Moment | None = None
    max_handoffs: HandoffCount | None = None
    progress_seconds: ProgressSeconds | None = None
    scheduler: Id | None = None
    hold: bool | None = None

    def to_action(self, *, packet_id: str) -> c.UpdatePacket:
        """Return the command's action for *packet_id*.

        Raises:
            TooLargeError: all fields together are more than an entry takes.
        """
        constraints = self.policy_constraints
        return bounded(
            c.UpdatePacket(
                packet_id=packet_id,
                required_capabilities=self.required_capabilities,
                constraints=None if constraints is None else constraints.to_part(),
                data_classes=self.data_classes,
                handoff=None if self.handoff is None else self.handoff.to_part(),
                demand=None if self.demand is None else pairs(self.demand),
                labels=None if self.labels is None else pairs(self.labels),
                priority=self.priority,
                deadline=self.deadline,
                max_handoffs=self.max_handoffs,
                progress_seconds=self.progress_seconds,
                scheduler=self.scheduler,
                hold=self.hold,
            ),
            self.required_capabilities,
            None if constraints is None else constraints.allowed_regions,
            self.demand,
            self.data_classes,
            self.labels,
        )


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a packet as it is submitted."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **FlightPacket.model_json_schema(),
        "title": "pfgov Packet",
    }
