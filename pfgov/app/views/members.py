"""A member as it is shown.

Trust, reliability and load are what policies and schedulers see; a trust score that somebody only claimed is shown
apart, because nothing counts it.  This module does not know how the record came about.
"""

import msgspec

from pfgov.app.views.numbers import moment, number, numbers
from pfgov.core.records import Member
from pfgov.model.times import to_moment


class TrustView(msgspec.Struct, frozen=True, kw_only=True):
    """An attested score, who says so, and until when."""

    score: float | int
    source: str
    assessed_at: str | None
    expires_at: str | None


class DrainView(msgspec.Struct, frozen=True, kw_only=True):
    """How a member leaves."""

    mode: str
    since: str
    deadline: str | None
    stays: bool


class MemberView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a member; ``owns`` names its live packets."""

    id: str
    type: str
    status: str
    incarnation: int
    capabilities: list[dict[str, object]]
    region: str | None
    clearances: list[str]
    trust: TrustView | None
    claimed_trust: float | None
    reliability: float | int
    capacity: dict[str, float | int]
    used: dict[str, float | int]
    active: int
    pressure: float | int
    lease_seconds: int | None
    handoff_mode: str
    weight: int
    labels: dict[str, str]
    public_key: str | None
    principal: str
    drain: DrainView | None
    quarantine_until: str | None
    owns: list[str]


def member_view(member: Member, owns: list[str] | None = None) -> MemberView:
    """Return *member* as it is shown, with the ids of the packets it owns."""
    trust, drain = member.attested, member.drain
    return MemberView(
        id=member.member_id,
        type=member.kind,
        status=member.status.value,
        incarnation=member.incarnation,
        capabilities=[
            {name: value for name, value in msgspec.to_builtins(cap).items() if value}
            for cap in member.capabilities.values()
        ],
        region=member.region,
        clearances=list(member.clearances),
        trust=None
        if trust is None
        else TrustView(
            score=number(trust.score),
            source=trust.source,
            assessed_at=moment(trust.assessed_at),
            expires_at=moment(trust.expires_at),
        ),
        claimed_trust=None if member.claimed_trust is None else float(member.claimed_trust),
        reliability=number(member.reliability),
        capacity=numbers(member.capacity),
        used=numbers(member.used),
        active=member.active,
        pressure=number(member.pressure),
        lease_seconds=member.lease_seconds,
        handoff_mode=member.handoff_mode,
        weight=member.weight,
        labels=dict(member.labels),
        public_key=member.public_key,
        principal=member.principal,
        drain=None
        if drain is None
        else DrainView(
            mode=drain.mode,
            since=to_moment(drain.since),
            deadline=moment(drain.deadline),
            stays=drain.stays,
        ),
        quarantine_until=moment(member.quarantine_until),
        owns=sorted(owns or ()),
    )
