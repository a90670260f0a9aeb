"""Facts, policies and hand-written twins for the policy benchmark.

The shapes are those of a flight packet and a member; P4 is twelve clauses, all true, so
that every clause runs.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pfgov.policy.cel import (
    BOOL,
    DOUBLE,
    INT,
    STRING,
    CelType,
    Environment,
    Field,
    ListType,
    MapType,
    NumberType,
    Record,
    StringType,
)  # fmt: skip

Facts = Mapping[str, Any]

PACKET: dict[str, Any] = {
    "packet_id": "pkt-0001", "workload_type": "inference", "priority": 5,
    "required_capabilities": ["summarise", "translate"],
    "data_classes": ["pii.email", "pii.name", "internal"],
    "policy_constraints": {
        "minimum_trust_score": 0.7, "allowed_regions": ["eu-west", "eu-north", "us-east"],
        "pii_review_required": False, "max_hops": 5,
    },
    "handoff": {"allowed": True, "reason_required": False},
    "handoff_count": 1, "previous_owners": ["m-7", "m-9"],
    "labels": {"team": "ops", "tier": "gold"},
    "demand": {"cpu": 2, "memory": 4096}, "step": "draft",
}  # fmt: skip
MEMBER: dict[str, Any] = {
    "id": "m-1", "type": "agent", "capabilities": ["summarise", "translate", "search"],
    "region": "eu-west", "clearances": ["pii.email", "pii.name", "internal"],
    "pii_certified": True, "trust_score": 0.91, "reliability": 0.98, "status": "ACTIVE",
    "draining": False, "load": {"cpu": 1, "memory": 1024},
    "capacity": {"cpu": 8, "memory": 16384}, "labels": {},
}  # fmt: skip

_TEXT = StringType(128)
_TEXTS = ListType(_TEXT, 64)
_RESOURCES = Record("resources", {"cpu": Field(INT), "memory": Field(INT)})
_SCORE = NumberType("double", 0, 1)


def _record(name: str, fields: Mapping[str, CelType], *optional: str) -> Record:
    return Record(name, {key: Field(type_, key in optional) for key, type_ in fields.items()})


_CONSTRAINTS = _record(
    "policy_constraints",
    {"minimum_trust_score": _SCORE, "allowed_regions": _TEXTS, "pii_review_required": BOOL,
     "max_hops": INT},
    "allowed_regions", "max_hops",
)  # fmt: skip
_PACKET = _record("packet", {
    "packet_id": STRING, "workload_type": STRING, "priority": INT,
    "required_capabilities": _TEXTS, "data_classes": _TEXTS, "policy_constraints": _CONSTRAINTS,
    "handoff": _record("handoff", {"allowed": BOOL, "reason_required": BOOL}),
    "handoff_count": INT, "previous_owners": _TEXTS, "labels": MapType(STRING, _TEXT, 32),
    "demand": _RESOURCES, "step": STRING,
})  # fmt: skip
_MEMBER = _record("member", {
    "id": _TEXT, "type": _TEXT, "capabilities": _TEXTS, "region": _TEXT, "clearances": _TEXTS,
    "pii_certified": BOOL, "trust_score": DOUBLE, "reliability": DOUBLE, "status": _TEXT,
    "draining": BOOL, "load": _RESOURCES, "capacity": _RESOURCES,
    "labels": MapType(STRING, _TEXT, 32),
}, "trust_score", "region")  # fmt: skip

ENVIRONMENT = Environment({"packet": _PACKET, "member": _MEMBER})

CLAUSES = (
    'member.status == "ACTIVE"',
    "!member.draining",
    "member.trust_score >= packet.policy_constraints.minimum_trust_score",
    "member.region in packet.policy_constraints.allowed_regions",
    "packet.required_capabilities.all(c, c in member.capabilities)",
    '(!packet.data_classes.exists(c, c.startsWith("pii.")) || member.pii_certified)',
    "packet.data_classes.all(c, c in member.clearances)",
    "member.load.cpu + packet.demand.cpu <= member.capacity.cpu",
    "member.load.memory + packet.demand.memory <= member.capacity.memory",
    "packet.handoff.allowed",
    "!(member.id in packet.previous_owners)",
    "(!has(packet.policy_constraints.max_hops) || packet.handoff_count < packet.policy_constraints.max_hops)",
)

POLICIES = {
    "P1": "member.trust_score >= packet.policy_constraints.minimum_trust_score",
    "P2": "member.region in packet.policy_constraints.allowed_regions",
    "P3": '!packet.data_classes.exists(c, c.startsWith("pii.")) || '
    "(member.pii_certified && packet.data_classes.all(c, c in member.clearances))",
    "P4": " &&\n".join(CLAUSES),
}


# The twins are written as a careful programmer would, early returns and plain loops included.


def hand_p1(p: Facts, m: Facts) -> bool:
    """P1 by hand."""
    return bool(m["trust_score"] >= p["policy_constraints"]["minimum_trust_score"])


def hand_p2(p: Facts, m: Facts) -> bool:
    """P2 by hand."""
    return m["region"] in p["policy_constraints"]["allowed_regions"]


def hand_p3(p: Facts, m: Facts) -> bool:
    """P3 by hand."""
    classes = p["data_classes"]
    for c in classes:
        if c.startswith("pii."):
            break
    else:
        return True
    if not m["pii_certified"]:
        return False
    clearances = m["clearances"]
    for c in classes:  # noqa: SIM110 -- the faster of the two spellings
        if c not in clearances:
            return False
    return True


def hand_p4(p: Facts, m: Facts) -> bool:
    """P4 by hand."""
    if m["status"] != "ACTIVE" or m["draining"]:
        return False
    constraints = p["policy_constraints"]
    if m["trust_score"] < constraints["minimum_trust_score"]:
        return False
    if m["region"] not in constraints["allowed_regions"]:
        return False
    capabilities = m["capabilities"]
    for c in p["required_capabilities"]:
        if c not in capabilities:
            return False
    classes = p["data_classes"]
    if not m["pii_certified"]:
        for c in classes:
            if c.startswith("pii."):
                return False
    clearances = m["clearances"]
    for c in classes:
        if c not in clearances:
            return False
    demand, load, capacity = p["demand"], m["load"], m["capacity"]
    if load["cpu"] + demand["cpu"] > capacity["cpu"]:
        return False
    if load["memory"] + demand["memory"] > capacity["memory"]:
        return False
    if not p["handoff"]["allowed"] or m["id"] in p["previous_owners"]:
        return False
    hops = constraints.get("max_hops")
    return hops is None or p["handoff_count"] < hops


HAND: dict[str, Callable[[Facts, Facts], bool]] = {
    "P1": hand_p1, "P2": hand_p2, "P3": hand_p3, "P4": hand_p4,
}  # fmt: skip


def hand_filter(p: Facts, members: Sequence[Facts]) -> list[bool]:
    """The twelve clauses over many members, without reasons."""
    return [hand_p4(p, m) for m in members]


def members_mixed(count: int, seed: int = 7) -> list[dict[str, Any]]:
    """Members of which somewhat over a third may own the packet."""
    random_ = random.Random(seed)
    members: list[dict[str, Any]] = []
    for index in range(count):
        member = {**MEMBER, "id": f"m-{index}"}
        if random_.random() < 0.15:
            member["region"] = random_.choice(["ap-south", "sa-east"])
        if random_.random() < 0.2:
            member["trust_score"] = random_.random() * 0.7
        if random_.random() < 0.2:
            member["clearances"] = ["internal"]
        if random_.random() < 0.2:
            member["capabilities"] = ["search"]
        if random_.random() < 0.15:
            member["load"] = {"cpu": 7, "memory": 1024}
        if random_.random() < 0.05:
            member["status"] = "DRAINING"
        members.append(member)
    return members
