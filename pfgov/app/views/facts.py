"""What a policy may read of a member or a packet, from the view of it: the same facts as the engine gives the rules.

What a view does not show is in the packet's entries: who submitted it, and whom its reviewers stand for.  Labels are
texts here; a set reads them in the types that it declares.
"""

from collections.abc import Iterable
from typing import Any, cast

from pfgov.app.views.entries import EntryView
from pfgov.app.views.members import MemberView
from pfgov.app.views.packets import PacketView
from pfgov.model.times import to_microseconds


def facts_of_member(view: MemberView, now: int) -> dict[str, Any]:
    """Return the facts of a member at *now*, in microseconds: a trust that has expired is none."""
    names = [str(one["name"]) for one in view.capabilities]
    facts: dict[str, Any] = {
        "id": view.id,
        "type": view.type,
        "capabilities": names,
        "capability_versions": {
            str(one["name"]): str(one.get("version") or "") for one in view.capabilities
        },
        "clearances": list(view.clearances),
        "reliability": float(view.reliability),
        "status": view.status,
        "capacity": {
            name: int(amount) if name == "tasks" else float(amount)
            for name, amount in view.capacity.items()
            if name in {"cpu", "memory", "tasks"}
        },
        "labels": dict(view.labels),
        "incarnation": view.incarnation,
        "load": {
            "active": view.active,
            "cpu": float(view.used.get("cpu", 0)),
            "memory": float(view.used.get("memory", 0)),
            "pressure": float(view.pressure),
        },
    }
    if view.region is not None:
        facts["region"] = view.region
    trust = view.trust
    if trust is not None and (trust.expires_at is None or now < to_microseconds(trust.expires_at)):
        facts["trust_score"] = float(trust.score)
    return facts


def facts_of_packet(view: PacketView, entries: Iterable[EntryView]) -> dict[str, Any]:
    """Return the facts of a packet; *entries* are that of its creation and those of its reviews, in full."""
    bodies = {entry.seq: entry.body or {} for entry in entries}
    submitted = next((body for body in bodies.values() if body.get("submitted_by")), None)
    constraints = dict(view.policy_constraints)
    least = constraints.get("minimum_trust_score")
    if least is not None:
        constraints["minimum_trust_score"] = float(cast("float", least))
    handoff: dict[str, Any] = {"allowed": view.handoff.allowed}
    if view.handoff.reason is not None:
        handoff["reason"] = view.handoff.reason
    facts: dict[str, Any] = {
        "packet_id": view.packet_id,
        "workload_type": view.workload_type,
        "priority": view.priority,
        "required_capabilities": list(view.required_capabilities),
        "data_classes": list(view.data_classes),
        "scanned_by": list(view.scanned_by),
        "policy_constraints": {k: v for k, v in constraints.items() if v is not None},
        "handoff": handoff,
        "handoff_count": view.handoff.count,
        "labels": dict(view.labels),
        "demand": {name: float(view.demand.get(name, 0)) for name in ("cpu", "memory")},
        "previous_owners": list(view.previous_owners),
        "epoch": view.epoch,
        "reviews": [review.reviewer for review in view.reviews],
        "reviewed_for": [
            member
            for review in view.reviews
            for member in bodies.get(review.position, {}).get("reviewed_for", ())
        ],
    }
    if submitted is not None:
        facts["submitted_by"] = {
            "id": submitted["submitted_by"],
            "members": list(submitted.get("submitted_for", ())),
        }
    if view.context_checkpoint.step is not None:
        facts["step"] = view.context_checkpoint.step
    return facts
