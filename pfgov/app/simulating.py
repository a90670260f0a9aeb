"""A ledger as the start of a simulation: its members that are active, its packets that have not ended, its policies."""

from typing import TYPE_CHECKING, Any, Final, cast

from pfgov.core import commands as c
from pfgov.core.lifecycle import TERMINAL, MemberStatus, PacketStatus
from pfgov.core.quantity import to_micro, to_text
from pfgov.errors import StateConflictError
from pfgov.sim.start import Start

if TYPE_CHECKING:
    from pfgov.app.ledger import Reading
    from pfgov.app.views import MemberView, PacketView
    from pfgov.policy import PolicySet

BEGUN_MAX: Final = 1_000
"""Members, and packets, that a simulation begins with at most, in the order of their ids."""


def start_of(book: "Reading", policies: "PolicySet") -> Start:
    """Return a start with the members and packets of *book* under *policies*.

    Raises:
        StateConflictError: ``sim.no_members``, nobody is active there.
    """
    from pfgov.app.ledger import MembersWanted, PacketsWanted

    wanted = MembersWanted(statuses=(MemberStatus.ACTIVE.value,), limit=BEGUN_MAX, owns=False)
    members = book.members(wanted)
    if not members:
        raise StateConflictError(
            "the ledger has no active member, so that nothing would happen",
            code="sim.no_members",
            hint="register one: pfgov member register --help",
        )
    live = tuple(status.value for status in PacketStatus if status not in TERMINAL)
    packets, _ = book.packets(PacketsWanted(statuses=live, limit=BEGUN_MAX))
    return Start(policies, tuple(map(_member, members)), tuple(map(_packet, packets)))


def _member(view: "MemberView") -> c.RegisterMember:
    return c.RegisterMember(
        member_id=view.id,
        type=view.type,
        capabilities=tuple(
            c.Capability(name=str(one["name"]), version=cast("str | None", one.get("version")))
            for one in view.capabilities
        ),
        capacity=_amounts(view.capacity),
        region=view.region,
        clearances=tuple(view.clearances),
        labels=tuple(sorted(view.labels.items())),
        weight=view.weight,
        trust_score=None if view.trust is None else to_text(to_micro(view.trust.score)),
    )


def _packet(view: "PacketView") -> c.SubmitPacket:
    said: dict[str, Any] = view.policy_constraints
    least, regions = said.get("minimum_trust_score"), said.get("allowed_regions")
    return c.SubmitPacket(
        packet_id=view.packet_id,
        workload_type=view.workload_type,
        lineage_id=view.packet_id,
        required_capabilities=tuple(view.required_capabilities),
        constraints=c.Constraints(
            pii_review_required=bool(said.get("pii_review_required", False)),
            minimum_trust_score=None if least is None else to_text(to_micro(least)),
            allowed_regions=None if regions is None else tuple(regions),
        ),
        handoff=c.HandoffTerms(allowed=view.handoff.allowed, reason=view.handoff.reason),
        demand=_amounts(view.demand),
        data_classes=tuple(view.data_classes),
        priority=view.priority,
        labels=tuple(sorted(view.labels.items())),
        hold=view.hold,
    )


def _amounts(found: dict[str, float | int]) -> tuple[tuple[str, str], ...]:
    return tuple((name, to_text(to_micro(found[name]))) for name in sorted(found))
