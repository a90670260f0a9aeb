"""Who could take a packet: what a decision that was only rehearsed says of every member.

It is read from the events and the verdict tables that the rehearsal gave; nothing is judged here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pfgov import events as e
from pfgov.views.verdicts import VerdictRow, nearest_miss, read_table


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """Who may, who would be chosen, every member's verdict, and what would have made one more eligible."""

    eligible: list[str]
    would_go_to: str | None
    members: list[VerdictRow]
    nearest_miss: str | None


def discovery(events: Sequence[e.Event], tables: Mapping[str, bytes]) -> Discovery:
    """Return what the first decision among *events* found; nobody where nothing was decided."""
    decided: Any = next((one for one in events if getattr(one, "decision", None)), None)
    if decided is None:
        return Discovery(eligible=[], would_go_to=None, members=[], nearest_miss=None)
    rows = read_table(tables[decided.decision.table])
    winner = getattr(decided, "target", None) or getattr(decided, "owner", None)
    return Discovery(
        eligible=[row.member_id for row in rows if row.is_eligible],
        would_go_to=winner.member_id if winner else None,
        members=rows,
        nearest_miss=nearest_miss([row for row in rows if not row.is_eligible]),
    )
