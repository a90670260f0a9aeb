"""What the controller reads of the ledger: packets and members, as the server's answers show them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from pfgov.kubernetes.names import CLUSTER_LABEL, CLUSTER_UID_LABEL
from pfgov.kubernetes.shapes import map_in


class PacketStage(StrEnum):
    """Where a packet is, as far as its pod is concerned."""

    ABSENT = "absent"
    WAITING = "waiting"
    REVIEW = "review"
    OWNED = "owned"
    MOVING = "moving"
    ENDED = "ended"


STAGES: Final = {
    "PENDING": PacketStage.WAITING,
    "AWAITING_REVIEW": PacketStage.REVIEW,
    "ASSIGNED": PacketStage.OWNED,
    "HANDOFF_PENDING": PacketStage.MOVING,
    "COMPLETED": PacketStage.ENDED,
    "FAILED": PacketStage.ENDED,
    "CANCELLED": PacketStage.ENDED,
}
"""Status in the ledger -> stage; a status that is not here is an error."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet.  ``why`` is what the ledger says about who may not own it, and ``changed_at`` RFC 3339."""

    packet_id: str
    status: str
    owner: str | None = None
    incarnation: int | None = None
    epoch: int = 0
    version: int = 0
    changed_at: str = ""
    workload_type: str = "pod"
    required_capabilities: tuple[str, ...] = ()
    data_classes: tuple[str, ...] = ()
    constraints: Mapping[str, Any] = field(default_factory=dict[str, Any])
    demand: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    reasons: tuple[str, ...] = ()
    why: tuple[str, ...] = ()

    @property
    def stage(self) -> PacketStage:
        """Where it is."""
        return STAGES[self.status]

    @property
    def claim(self) -> dict[str, Any]:
        """What a write of its owner names."""
        return {"member_id": self.owner, "incarnation": self.incarnation, "epoch": self.epoch}

    def is_of(self, cluster: str, uid: str) -> bool:
        """Whether it is a pod's of this cluster."""
        labels = self.labels
        return labels.get(CLUSTER_LABEL) == cluster and labels.get(CLUSTER_UID_LABEL) == uid


@dataclass(frozen=True, slots=True)
class Member:
    """A member."""

    member_id: str
    type: str
    status: str
    incarnation: int = 1
    region: str | None = None
    capacity: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    is_paused: bool = False
    used: Mapping[str, Any] = field(default_factory=dict[str, Any])
    active: int = 0


def read_packet(shown: Mapping[str, Any], why: tuple[str, ...] = ()) -> Packet:
    """Return a packet from the server's answer."""
    waiting = map_in(shown, "waiting")
    return Packet(
        packet_id=shown["packet_id"],
        status=shown["status"],
        owner=shown["current_owner"],
        incarnation=shown["incarnation"],
        epoch=shown["epoch"],
        version=shown["version"],
        changed_at=shown["audit"]["changed_at"],
        workload_type=shown["workload_type"],
        required_capabilities=tuple(shown["required_capabilities"]),
        data_classes=tuple(shown["data_classes"]),
        constraints=shown["policy_constraints"],
        demand=_exact(shown["demand"]),
        labels=shown["labels"],
        reasons=tuple(sorted(map_in(waiting, "reasons"))),
        why=why,
    )


def read_member(shown: Mapping[str, Any]) -> Member:
    """Return a member from the server's answer."""
    drain = map_in(shown, "drain")
    return Member(
        member_id=shown["id"],
        type=shown["type"],
        status=shown["status"],
        incarnation=shown["incarnation"],
        region=shown.get("region"),
        capacity=_exact(shown["capacity"]),
        labels=shown["labels"],
        is_paused=bool(drain.get("stays")),
        used=shown.get("used") or {},
        active=shown.get("active") or 0,
    )


def _exact(shown: Mapping[str, Any]) -> dict[str, Decimal]:
    return {name: Decimal(str(value)) for name, value in shown.items()}
