"""What policies see: typed facts made from the state's own records.

A fact is the nearest double of an exact decimal; an absent optional fact is an absent key, so that a policy which reads
it gets ``missing``.  The packet's context body is never a fact.  The shape is declared, typed and documented in
:mod:`pfgov.policy.facts`, against which every expression is checked at load; a test holds the two together.
"""

from collections.abc import Mapping
from typing import Any

from pfgov.commands import Principal
from pfgov.limits import MICRO
from pfgov.quantity import from_text, to_float
from pfgov.records import Member, Packet, Terms

Facts = dict[str, Any]


def member_facts(member: Member) -> Facts:
    """Return everything about *member* that a policy may read."""
    facts: Facts = {
        "id": member.member_id,
        "type": member.kind,
        "capabilities": list(member.capabilities),
        "capability_versions": {name: c.version or "" for name, c in member.capabilities.items()},
        "clearances": list(member.clearances),
        "reliability": to_float(member.reliability),
        "status": member.status.value,
        "capacity": _capacity(member.capacity),
        "labels": dict(member.labels),
        "incarnation": member.incarnation,
        "load": member_load(member),
    }
    if member.region is not None:
        facts["region"] = member.region
    if member.attested is not None:
        facts["trust_score"] = to_float(member.attested.score)
    return facts


def member_load(member: Member) -> Facts:
    """Return the part of a member's facts that changes with every placement."""
    used = member.used
    return {
        "active": member.active,
        "cpu": to_float(used.get("cpu", 0)),
        "memory": to_float(used.get("memory", 0)),
        "pressure": to_float(member.pressure),
    }


def _capacity(capacity: Mapping[str, int]) -> Facts:
    facts: Facts = {
        name: to_float(capacity[name]) for name in ("cpu", "memory") if name in capacity
    }
    if "tasks" in capacity:
        facts["tasks"] = capacity["tasks"] // MICRO
    return facts


def terms_facts(terms: Terms) -> Facts:
    """Return the part of a packet's facts that its terms alone decide."""
    constraints: Facts = {"pii_review_required": terms.constraints.pii_review_required}
    if terms.constraints.minimum_trust_score is not None:
        constraints["minimum_trust_score"] = to_float(
            from_text(terms.constraints.minimum_trust_score)
        )
    if terms.constraints.allowed_regions is not None:
        constraints["allowed_regions"] = list(terms.constraints.allowed_regions)
    handoff: Facts = {"allowed": terms.handoff.allowed}
    if terms.handoff.reason is not None:
        handoff["reason"] = terms.handoff.reason
    demand = dict(terms.demand)
    return {
        "workload_type": terms.workload_type,
        "priority": terms.priority,
        "required_capabilities": list(terms.required_capabilities),
        "data_classes": list(terms.data_classes),
        "policy_constraints": constraints,
        "handoff": handoff,
        "labels": dict(terms.labels),
        "demand": {
            "cpu": to_float(demand.get("cpu", 0)),
            "memory": to_float(demand.get("memory", 0)),
        },
    }


TERMS_FACTS = frozenset(terms_facts(Terms(workload_type="")))
"""Facts of a packet that only its terms decide."""


def packet_facts(packet: Packet, terms: Facts) -> Facts:
    """Return everything about *packet* that a policy may read; *terms* as :func:`terms_facts` made them."""
    facts = dict(terms)
    facts["packet_id"] = packet.packet_id
    facts["handoff_count"] = packet.handoff_count
    facts["previous_owners"] = list(packet.owners)
    facts["epoch"] = packet.epoch
    if packet.step is not None:
        facts["step"] = packet.step
    return facts


def principal_facts(principal: Principal) -> Facts:
    """Return what a policy may read about who asks."""
    return {"id": principal.id, "rights": list(principal.rights)}
