"""What a command came to, in one word that means the same for every command, and why.

It is read from the command's own events, so that the same request with the same idempotency key has the same answer.
Nothing is judged here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pfgov.app.views.numbers import moment
from pfgov.core import events as e

Outcome = Literal["allowed", "denied", "escalated", "pending", "unchanged"]
"""``pending``: it was done, and its packet waits for room, for members, for another review or for its target."""

OUTCOMES: Final[tuple[str, ...]] = ("allowed", "denied", "escalated", "pending", "unchanged")

_OF_DECISION: Final[Mapping[str, Outcome]] = {
    "allowed": "allowed",
    "denied": "denied",
    "escalated": "escalated",
    "no_candidate": "pending",
    "no_capacity": "pending",
}
_OF_EVENT: Final[Mapping[type[e.Event], Outcome]] = {
    e.RegistrationDenied: "denied",
    e.PolicyRefused: "denied",
    e.WriteRefused: "denied",
    e.HandoffStarted: "pending",
    e.HandoffCompleted: "allowed",
    e.HandoffDenied: "denied",
    e.HandoffEscalated: "escalated",
    e.ReviewRequested: "escalated",
    e.OwnershipRevoked: "pending",
    e.PacketRequeued: "pending",
}
_REFUSING: Final = frozenset({"policy", "target_failed"})
"""Causes for which a handoff ends although nobody asked for that."""


def outcome_view(events: Sequence[e.Event]) -> dict[str, Any]:
    """Return ``outcome`` and ``reasons`` of a command with these events; with ``review``, what has to be reviewed."""
    outcome: Outcome = "allowed" if events else "unchanged"
    reasons: list[str] = []
    asked: e.ReviewRequested | None = None
    for event in events:
        said = _said(event)
        if said is not None:
            outcome, reasons = said, _reasons(event) if said != "allowed" else []
        if isinstance(event, e.ReviewRequested):
            asked = event
    view: dict[str, Any] = {"outcome": outcome, "reasons": reasons}
    if asked is not None and outcome == "escalated":
        view["review"] = {
            "to": asked.to,
            "point": asked.point,
            "rules": reasons,
            "member_id": asked.member_id,
            "approvals": asked.approvals,
            "expires_at": moment(asked.expires_at),
        }
    return view


def _said(event: e.Event) -> Outcome | None:
    if isinstance(event, e.AssignmentDecision | e.DecisionEvaluated):
        return _OF_DECISION[event.outcome]
    if isinstance(event, e.HandoffAborted):
        return "denied" if event.cause in _REFUSING else "allowed"
    if isinstance(event, e.PacketCreated):
        return "pending"
    if isinstance(event, e.ReviewRecorded):
        return "pending" if event.granted and event.remaining else "allowed"
    return _OF_EVENT.get(type(event))


def _reasons(event: e.Event) -> list[str]:
    if isinstance(event, e.ReviewRequested):
        return [f"{one.policy}/{one.rule}" for one in event.rules]
    found: tuple[str, ...] = getattr(event, "reasons", ())
    decision = getattr(event, "decision", None)
    if found or not isinstance(decision, e.Decision):
        return list(found)
    return [name for name, _ in decision.rejected]
