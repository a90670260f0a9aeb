"""Events of members."""

from typing import ClassVar, Literal

from pfgov.core.commands import Capability, Pairs, Trust
from pfgov.core.events.base import Lease, MemberEvent


class MemberRegistered(MemberEvent, frozen=True, kw_only=True):
    """A member joined, or came back as its next incarnation."""

    type: ClassVar[str] = "member_registered"
    incarnation: int
    kind: str
    capabilities: tuple[Capability, ...] = ()
    capacity: Pairs = ()
    region: str | None = None
    clearances: tuple[str, ...] = ()
    labels: Pairs = ()
    weight: int = 1
    public_key: str | None = None
    trust: Trust | None = None
    claimed_trust: str | None = None
    lease_seconds: int | None = None
    handoff_mode: str = "auto"
    principal: str
    policy: str


class RegistrationDenied(MemberEvent, frozen=True, kw_only=True):
    """Policy kept a member out."""

    type: ClassVar[str] = "registration_denied"
    policy: str
    reasons: tuple[str, ...]
    table: str


class MemberUpdated(MemberEvent, frozen=True, kw_only=True):
    """New values of some fields; fields that are absent did not change."""

    type: ClassVar[str] = "member_updated"
    capacity: Pairs | None = None
    region: str | None = None
    clearances: tuple[str, ...] | None = None
    labels: Pairs | None = None
    weight: int | None = None
    lease_seconds: int | None = None
    handoff_mode: str | None = None


class CapabilityDiscovered(MemberEvent, frozen=True, kw_only=True):
    """A member can do something new, or in a new version."""

    type: ClassVar[str] = "capability_discovered"
    capability: Capability


class CapabilityWithdrawn(MemberEvent, frozen=True, kw_only=True):
    """A member no longer can."""

    type: ClassVar[str] = "capability_withdrawn"
    name: str


class TrustAssessed(MemberEvent, frozen=True, kw_only=True):
    """An assessor set the member's trust."""

    type: ClassVar[str] = "trust_assessed"
    trust: Trust


class TrustExpired(MemberEvent, frozen=True, kw_only=True):
    """The assessment ended; policies see no trust."""

    type: ClassVar[str] = "trust_expired"
    expired_at: int


class IncarnationEvent(MemberEvent, frozen=True, kw_only=True):
    """An entry about a member in one of its lives."""

    incarnation: int


class MemberSuspected(IncarnationEvent, frozen=True, kw_only=True):
    """The lease is overdue: no new work."""

    type: ClassVar[str] = "member_suspected"
    lease: Lease


class MemberFailed(IncarnationEvent, frozen=True, kw_only=True):
    """The member is declared failed; all it owns is revoked."""

    type: ClassVar[str] = "member_failed"
    cause: Literal["lease_expired", "reported"]
    lease: Lease | None = None
    detail: str | None = None


class MemberRecovered(IncarnationEvent, frozen=True, kw_only=True):
    """A heartbeat ended a suspicion (same incarnation), or a failed member is back (next one)."""

    type: ClassVar[str] = "member_recovered"


class MemberDraining(IncarnationEvent, frozen=True, kw_only=True):
    """No new work; what it owns moves in order, the rest is revoked at the deadline.  Empty, it retires or stays."""

    type: ClassVar[str] = "member_draining"
    deadline: int | None = None
    mode: Literal["stop_first", "start_first"] = "start_first"
    stays: bool = False


class DrainCancelled(IncarnationEvent, frozen=True, kw_only=True):
    """The member stays."""

    type: ClassVar[str] = "drain_cancelled"


class MemberQuarantined(IncarnationEvent, frozen=True, kw_only=True):
    """No new work until released; ``until`` where a penalty decays by itself."""

    type: ClassVar[str] = "member_quarantined"
    cause: Literal["requested", "flapping"]
    until: int | None = None
    detail: str | None = None


class MemberReleased(IncarnationEvent, frozen=True, kw_only=True):
    """Back to the status before the quarantine."""

    type: ClassVar[str] = "member_released"
    status: str


class MemberRetired(IncarnationEvent, frozen=True, kw_only=True):
    """The member is gone and owns nothing."""

    type: ClassVar[str] = "member_retired"


class PressureChanged(MemberEvent, frozen=True, kw_only=True):
    """Reported pressure (0..1) crossed a threshold."""

    type: ClassVar[str] = "pressure_changed"
    pressure: str
    level: Literal["high", "normal"]
