"""Commands about members: joining, changing, leaving, failing, coming back."""

from typing import ClassVar, Literal

from pfgov.core.commands.base import Action
from pfgov.core.commands.parts import Capability, Pairs


class RegisterMember(Action, frozen=True, kw_only=True, tag="register_member"):
    """Join, or come back after FAILED or RETIRED."""

    right: ClassVar[str] = "member"
    member_id: str
    type: str
    capabilities: tuple[Capability, ...] = ()
    capacity: Pairs = ()
    region: str | None = None
    clearances: tuple[str, ...] = ()
    labels: Pairs = ()
    weight: int = 1
    public_key: str | None = None
    trust_score: str | None = None
    lease_seconds: int | None = None
    handoff_mode: Literal["auto", "accept"] = "auto"


class UpdateMember(Action, frozen=True, kw_only=True, tag="update_member"):
    """Change some fields; absent ones stay.  Capabilities by name: discovered or withdrawn."""

    right: ClassVar[str] = "member"
    member_id: str
    capacity: Pairs | None = None
    region: str | None = None
    clearances: tuple[str, ...] | None = None
    labels: Pairs | None = None
    weight: int | None = None
    lease_seconds: int | None = None
    handoff_mode: Literal["auto", "accept"] | None = None
    discovered: tuple[Capability, ...] = ()
    withdrawn: tuple[str, ...] = ()


class AssessTrust(Action, frozen=True, kw_only=True, tag="assess_trust"):
    """Set a member's trust: the assessor's right."""

    right: ClassVar[str] = "assessor"
    member_id: str
    score: str
    expires_at: int | None = None


class ExpireTrust(Action, frozen=True, kw_only=True, tag="expire_trust"):
    """The assessment's time is over."""

    right: ClassVar[str] = "engine"
    member_id: str


class ReportPressure(Action, frozen=True, kw_only=True, tag="report_pressure"):
    """A member says how loaded it is: a decimal string in 0..1."""

    right: ClassVar[str] = "member"
    member_id: str
    pressure: str


class ExpireLease(Action, frozen=True, kw_only=True, tag="expire_lease"):
    """A lease is overdue or over; the evidence is judged again when the command runs."""

    right: ClassVar[str] = "engine"
    member_id: str
    incarnation: int
    last_seen: int
    ttl: int
    stretch: int = 0


class SawHeartbeat(Action, frozen=True, kw_only=True, tag="saw_heartbeat"):
    """A suspect was heard again."""

    right: ClassVar[str] = "engine"
    member_id: str
    incarnation: int


class DrainMember(Action, frozen=True, kw_only=True, tag="drain_member"):
    """Move everything off a member, then retire it, or if it ``stays`` give it nothing until the drain is cancelled."""

    right: ClassVar[str] = "member"
    member_id: str
    deadline: int | None = None
    mode: Literal["stop_first", "start_first"] = "start_first"
    stays: bool = False


class CancelDrain(Action, frozen=True, kw_only=True, tag="cancel_drain"):
    """The member stays after all."""

    right: ClassVar[str] = "member"
    member_id: str


class RetireMember(Action, frozen=True, kw_only=True, tag="retire_member"):
    """The member leaves; it must own nothing."""

    right: ClassVar[str] = "member"
    member_id: str


class FailMember(Action, frozen=True, kw_only=True, tag="fail_member"):
    """The member is dead."""

    right: ClassVar[str] = "operator"
    member_id: str
    reason: str | None = None


class RecoverMember(Action, frozen=True, kw_only=True, tag="recover_member"):
    """A failed member is back, owning nothing."""

    right: ClassVar[str] = "member"
    member_id: str


class QuarantineMember(Action, frozen=True, kw_only=True, tag="quarantine_member"):
    """No new work for this member."""

    right: ClassVar[str] = "operator"
    member_id: str
    reason: str | None = None
    until: int | None = None


class ReleaseMember(Action, frozen=True, kw_only=True, tag="release_member"):
    """End a quarantine."""

    right: ClassVar[str] = "operator"
    member_id: str
