"""What a decision says, of a dry run or of the record: the outcome, who could take the packet, and each one's verdict.

It is read from events and their verdict tables; nothing is judged here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pfgov.app.views.verdicts import VerdictRow, misses_result, nearest_misses, read_table
from pfgov.core import events as e
from pfgov.errors import NotFoundError


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """Who may, who would be chosen, every member's verdict, and what would have made one more eligible.

    ``nearest_misses`` has the nearest of each kind, ``nearest_miss`` is the first of them.
    """

    eligible: list[str]
    would_go_to: str | None
    members: list[VerdictRow]
    nearest_miss: str | None
    nearest_misses: list[str] = []


def discovery_view(events: Sequence[e.Event], tables: Mapping[str, bytes]) -> Discovery:
    """Return what the first decision among *events* found; nobody where nothing was decided."""
    decided: Any = next((one for one in events if getattr(one, "decision", None)), None)
    if decided is None:
        return Discovery(eligible=[], would_go_to=None, members=[], nearest_miss=None)
    rows = read_table(tables[decided.decision.table])
    misses = nearest_misses([row for row in rows if not row.is_eligible])
    winner = getattr(decided, "target", None) or getattr(decided, "owner", None)
    return Discovery(
        eligible=[row.member_id for row in rows if row.is_eligible],
        would_go_to=winner.member_id if winner else None,
        members=rows,
        **misses_result(misses),
    )


def decision_view(events: Sequence[e.Event], tables: Mapping[str, bytes]) -> dict[str, Any]:
    """Return what the last decision among *events* says; every member's reasons where its table is at hand.

    Raises:
        NotFoundError: ``decision.not_found``, nothing was decided.
    """
    for event in reversed(events):
        decision = getattr(event, "decision", None)
        if not isinstance(decision, e.Decision):
            continue
        outcome = getattr(event, "outcome", "allowed")
        owner = getattr(event, "owner", None)
        view: dict[str, Any] = {
            "outcome": outcome,
            "allowed": outcome == "allowed",
            "member_id": getattr(event, "member_id", None) or (owner.member_id if owner else None),
            "point": decision.point,
            "policy": decision.policy,
            "considered": decision.considered,
            "eligible": decision.eligible,
            "rejected": dict(decision.rejected),
            "reasons": [name for name, _ in decision.rejected] if outcome != "allowed" else [],
            "packet_id": getattr(event, "packet_id", None),
            "table": decision.table,
        }
        if decision.table in tables:
            rows = read_table(tables[decision.table], digest=decision.table)
            view |= {"members": rows, **misses_result(nearest_misses(rows))}
        return view
    raise NotFoundError("there is no decision in this entry", code="decision.not_found")
