"""A made-up fleet with work for it, as the bodies that a server takes: an insurer's agents, nodes, services and people.

Everything is drawn from a seeded source, so that a first look, the pictures in the documentation and the tests of the
console see the same fleet.
"""

import random
from typing import Any, Final

MEMBERS: Final[tuple[tuple[str, str, tuple[str, ...], int], ...]] = (
    ("agent-claims", "agent", ("customer_validation", "policy_review", "summarise"), 6),
    ("agent-kyc", "agent", ("kyc", "customer_validation", "ocr"), 4),
    ("agent-fraud", "agent", ("fraud_scoring", "summarise"), 4),
    ("agent-planner", "agent", ("planning", "routing"), 3),
    ("agent-letters", "agent", ("translation", "summarise"), 3),
    ("node-batch", "node", ("batch_compute",), 5),
    ("svc-ocr", "service", ("ocr",), 2),
    ("person-review", "human", ("policy_review", "customer_validation", "kyc"), 3),
)
"""Base name, type, capabilities, how many."""

WORK: Final[tuple[tuple[str, tuple[str, ...], int, str | None], ...]] = (
    ("customer-remediation", ("customer_validation", "policy_review"), 6, None),
    ("kyc-refresh", ("kyc", "customer_validation"), 4, None),
    ("fraud-triage", ("fraud_scoring",), 5, "agent"),
    ("claim-intake", ("ocr",), 3, "binpack"),
    ("route-plan", ("planning", "routing"), 3, "ring"),
    ("letter-translation", ("translation",), 3, "ring"),
    ("nightly-batch", ("batch_compute",), 6, "ring"),
)
"""Workload type, what it needs, how often, and the scheduler."""

REGIONS: Final = ("us-east/1a", "us-east/1b", "us-west/2a", "eu-west/2b", "eu-central/1a")
WITHIN: Final = (("us-east",), ("us-east", "us-west"), ("eu-west", "eu-central"))
PERSONAL: Final = frozenset({"customer-remediation", "kyc-refresh", "claim-intake"})
TRUST: Final = (0.78, 0.87, 0.91, 0.93, 0.95, 0.97, 0.98)
LEASE_SECONDS: Final = 43_200


def registrations(source: random.Random) -> list[dict[str, Any]]:
    """Return the members of the fleet."""
    return [
        _registration(source, base, kind, skills, number)
        for base, kind, skills, count in MEMBERS
        for number in range(1, count + 1)
    ]


def _registration(
    source: random.Random, base: str, kind: str, skills: tuple[str, ...], number: int
) -> dict[str, Any]:
    capacity = {
        "human": {"tasks": 8},
        "node": {"cpu": 16, "memory": 64, "tasks": 24},
        "service": {"cpu": 8, "memory": 16, "tasks": 20},
    }.get(kind)
    if capacity is None:
        capacity = {
            "cpu": source.choice((4, 8, 8)),
            "memory": source.choice((16, 32)),
            "tasks": source.choice((12, 16, 20)),
        }
    sees = kind == "human" or base in {"agent-kyc", "agent-claims"}
    return {
        "id": f"{base}-{number:02d}",
        "type": kind,
        "capabilities": [{"name": name, "version": f"1.{source.randint(0, 4)}"} for name in skills],
        "capacity": capacity,
        "trust_score": 1 if kind == "human" else source.choice(TRUST),
        "region": REGIONS[(number + len(base)) % len(REGIONS)],
        "clearances": ["pii.customer", "pii.financial"] if sees else [],
        "lease_seconds": LEASE_SECONDS,
        "weight": 2 if kind == "node" and number < 3 else 1,
        "labels": {"team": "risk" if base in {"agent-fraud", "agent-kyc"} else "claims"},
        "handoff_mode": "accept" if kind == "human" else "auto",
    }


def submission(source: random.Random, number: int) -> dict[str, Any]:
    """Return the packet of that number."""
    name, skills, _, scheduler = source.choices(WORK, [one[2] for one in WORK])[0]
    constraints: dict[str, Any] = {}
    if source.random() < 0.5:
        constraints["minimum_trust_score"] = source.choice((0.8, 0.9, 0.9, 0.95))
    if source.random() < 0.3:
        constraints["allowed_regions"] = list(source.choice(WITHIN))
    classes: list[str] = []
    if name in PERSONAL:
        classes = source.choice(([], ["pii.customer"], ["pii.customer", "pii.financial"]))
        if classes and source.random() < 0.1:
            constraints["pii_review_required"] = True
    return {
        "packet_id": f"fp-{number:04d}",
        "workload_type": name,
        "required_capabilities": list(skills),
        "policy_constraints": constraints,
        "data_classes": list(classes),
        "demand": {
            "cpu": source.choice((0.25, 0.25, 0.5, 0.5, 1)),
            "memory": source.choice((0.5, 1, 1, 2)),
        },
        "priority": source.choice((0, 0, 0, 5, 9)),
        "labels": {"case": f"CASE-{source.randint(10_000, 99_999)}"},
        **({} if scheduler is None else {"scheduler": scheduler}),
    }


TROUBLES: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("/api/members/agent-fraud-03/quarantine", {"reason": "model drift under review"}),
    ("/api/members/agent-letters-02/fail", {"reason": "its host is gone"}),
    ("/api/members/svc-ocr-02/drain", {}),
    ("/api/members/agent-claims-06/pressure", {"pressure": 0.95}),
)
"""What befalls some of them, so that every status is seen."""
