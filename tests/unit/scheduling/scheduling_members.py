"""Members and requests for scheduler tests: plain objects with the shape of ``Candidate``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pfgov.core.scheduler import MICRO, Request


@dataclass
class Member:
    member_id: str
    weight: int = 1
    capacity: dict[str, int] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    active: int = 0
    trust: int | None = 900_000
    reliability: int = 500_000
    region: str | None = None

    def take(self, request: Request) -> None:
        """Own the packet, as the kernel would have it."""
        self.active += 1
        for dimension, amount in request.demand.items():
            self.used[dimension] = self.used.get(dimension, 0) + amount

    def release(self, request: Request) -> None:
        """Own the packet no longer."""
        self.active -= 1
        for dimension, amount in request.demand.items():
            self.used[dimension] -= amount

    def as_dict(self) -> dict[str, Any]:
        """Return the member as the vectors and the naive implementation have it."""
        return asdict(self)


def asked(
    packet_id: str = "fp-001", epoch: int = 0, demand: Mapping[str, int] | None = None
) -> Request:
    """Return a request."""
    return Request(packet_id, epoch, "remediation", dict(demand or {}))


def idle(count: int, prefix: str = "member") -> list[Member]:
    """Return members that own nothing and have no limits."""
    return [Member(f"{prefix}-{index:04d}") for index in range(count)]


def machines(count: int) -> list[Member]:
    """Return members with capacities of a few sizes, a quarter to three quarters full."""
    return [
        Member(
            f"node-{index:04d}",
            capacity={"cpu": (4, 8, 16)[index % 3] * MICRO, "memory": 64 * MICRO},
            used={"cpu": index % 3 * MICRO, "memory": (16 + index * 7 % 32) * MICRO},
        )
        for index in range(count)
    ]
