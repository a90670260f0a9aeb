"""Workloads and handoffs: where is my packet, and what moves?"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from pfgov.app.views import EntryView, PacketView
from pfgov.model.times import to_microseconds
from pfgov_api.console import doing
from pfgov_api.console.pages import PAGE_ROWS, Page, Shown, Visit
from pfgov_api.console.views.members import WAITS

SYMBOLS: Final = {
    "PENDING": "pending",
    "AWAITING_REVIEW": "escalated",
    "ASSIGNED": "active",
    "HANDOFF_PENDING": "moving",
    "COMPLETED": "check",
    "FAILED": "failed",
    "CANCELLED": "retired",
}
NAMES: Final = {one: one.lower() for one in SYMBOLS} | {
    "AWAITING_REVIEW": "in review",
    "HANDOFF_PENDING": "moving",
}
"""What a status is called where there is little room."""

LINEAGE_SHOWN: Final = 200
LANES_MAX: Final = 12
HANDOFFS: Final = (
    "handoff_started",
    "handoff_completed",
    "handoff_aborted",
    "handoff_denied",
    "handoff_escalated",
)
ENDS: Final = frozenset(
    {
        "ownership_revoked",
        "packet_requeued",
        "packet_completed",
        "packet_failed",
        "packet_cancelled",
    }
)
"""Events after which nobody owns the packet."""

DECIDES: Final = frozenset(
    {"assignment_decision", "handoff_started", "handoff_denied", "handoff_escalated", "handoff_completed"}
)  # fmt: skip
"""Events whose entries the decision page explains."""

MICRO: Final = 1_000_000


async def _list(visit: Visit) -> Shown:
    status = visit.query.get("status", "").upper()
    query = {
        "status": status or None,
        "owner": visit.query.get("owner"),
        "all": visit.query.get("all"),
        "stuck": visit.query.get("stuck"),
        "after": visit.query.get("after"),
        "limit": PAGE_ROWS,
    }
    found, state = await asyncio.gather(
        visit.visitor.ask("list_packets", query), visit.visitor.ask("status")
    )
    return Shown("Workloads", "workloads.html", partial(_rows, visit, found, state))


def _rows(visit: Visit, found: Mapping[str, Any], state: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "visit": visit,
        "packets": found["items"],
        "next": found.get("next"),
        "remedy": found.get("remedy"),
        "counts": state["packets"],
        "waiting": state["waiting_packets"],
        "symbols": SYMBOLS,
        "names": NAMES,
        "foremost": foremost,
        "may_submit": visit.visitor.may("submit_packet"),
    }


async def _one(visit: Visit) -> Shown:
    ask, packet_id = visit.visitor.ask, visit.path["packet_id"]
    packet, lineage = await asyncio.gather(
        ask("show_packet", packet_id=packet_id),
        ask("packet_lineage", {"limit": LINEAGE_SHOWN, "after": visit.number("after")}, packet_id=packet_id),
    )  # fmt: skip
    return Shown(packet_id, "packet.html", partial(_packet, visit, packet, lineage))


def _packet(visit: Visit, packet: PacketView, lineage: Mapping[str, Any]) -> Mapping[str, Any]:
    entries: Sequence[EntryView] = lineage["items"]
    return {
        "visit": visit,
        "packet": packet,
        "entries": entries,
        "next": lineage.get("next"),
        "lanes": lanes(entries),
        "symbols": SYMBOLS,
        "decides": DECIDES,
        "reasons": [] if packet.current_owner or _is_granted(packet) else foremost(packet, 4),
        "decisions": [one.seq for one in entries if one.type in DECIDES],
        "actions": [
            one
            for one in doing.offered(visit.visitor, "packet", packet.status)
            if one.operation != "review_packet" or doing.may_review(visit.visitor, packet)
        ],
        "may_export": visit.visitor.may("export_packet"),
        "sentence": _stands(packet),
    }


def foremost(packet: PacketView, count: int) -> list[tuple[str, int]]:
    """Return the rules that keep most members from owning a packet that waits, and how many each keeps out."""
    reasons = packet.waiting.reasons if packet.waiting else {}
    return sorted(reasons.items(), key=lambda one: (-one[1], one[0]))[:count]


def _is_granted(packet: PacketView) -> bool:
    """Whether a packet that still waits for its review has it already: the next tick places it."""
    return packet.status == "AWAITING_REVIEW" and packet.review is None and bool(packet.reviews)


def _stands(packet: PacketView) -> str:
    """Return in a sentence where a packet stands."""
    match packet.status:
        case "ASSIGNED":
            return f"{packet.current_owner} owns it, under epoch {packet.epoch}."
        case "HANDOFF_PENDING":
            target = (packet.handoff.pending or {}).get("target")
            return f"{packet.current_owner} owns it, and {target} is to take it over."
        case "AWAITING_REVIEW" if _is_granted(packet):
            return "Its review is granted, and it is placed in a moment."
        case "AWAITING_REVIEW":
            return "It waits for a reviewer."
        case "PENDING" if packet.hold:
            return "It is held: nobody is looked for."
        case "PENDING":
            waits = packet.waiting.waits_for if packet.waiting else "a decision"
            return f"It waits {WAITS.get(waits, f'for {waits}')}."
        case status:
            return f"It has ended: {status.lower()}."


def lanes(entries: Sequence[EntryView]) -> dict[str, Any] | None:
    """Return owners as lanes over the entries, in hundredths: who owned it from which entry to which.

    None where nobody ever owned it.
    """
    spans: list[tuple[str, int, int | None]] = []
    for index, one in enumerate(entries):
        body: Any = one.body or {}
        owner: Any = body["owner"]["member_id"] if body.get("owner") else None
        gets = one.type == "handoff_completed" or (
            one.type == "assignment_decision" and body.get("outcome", "allowed") == "allowed"
        )
        ends = one.type in ENDS
        if (gets or ends) and spans and spans[-1][2] is None:
            spans[-1] = (*spans[-1][:2], index)
        if gets and owner:
            spans.append((owner, index, None))
    if not spans:
        return None
    names = list(dict.fromkeys(name for name, _, _ in spans))
    count = len(entries)
    wide = 100 / max(count, 1)
    rows = [
        {"owner": name, "spans": [_stretch(one, count, wide) for one in spans if one[0] == name]}
        for name in names[-LANES_MAX:]
    ]
    more = max(len(names) - LANES_MAX, 0)
    return {"rows": rows, "more": more, "first": entries[0].time, "last": entries[-1].time}


def _stretch(
    found: tuple[str, int, int | None], count: int, wide: float
) -> tuple[float, float, bool]:
    """Return where a stretch begins, how wide it is, and whether it lasts."""
    _, start, end = found
    width = ((count if end is None else end) - start) * wide
    return round(start * wide, 2), round(width, 2), end is None


async def _handoffs(visit: Visit) -> Shown:
    ask = visit.visitor.ask
    state, pending, recent = await asyncio.gather(
        ask("status"),
        ask("list_packets", {"status": "HANDOFF_PENDING", "limit": PAGE_ROWS}),
        ask(
            "list_entries",
            {
                "newest": "true",
                "type": ",".join(HANDOFFS),
                "before": visit.query.get("before"),
                "limit": PAGE_ROWS // 2,
            },
        ),
    )
    now = visit.visitor.service.engine.clock.now()
    values = partial(_moves, visit, pending, recent, now)
    may_begin = bool(state["packets"].get("ASSIGNED")) and visit.visitor.may("hand_off_packet")
    return Shown("Handoffs", "handoffs.html", lambda: {**values(), "may_begin": may_begin})


def _moves(
    visit: Visit, pending: Mapping[str, Any], recent: Mapping[str, Any], now: int
) -> Mapping[str, Any]:
    waiting = [
        {
            "is": one,
            "pending": one.handoff.pending,
            "left": _left(one.handoff.pending["deadline"], now),
            "actions": [
                action
                for action in doing.offered(visit.visitor, "packet", "HANDOFF_PENDING")
                if action.statuses == frozenset({"HANDOFF_PENDING"})
            ],
        }
        for one in pending["items"]
        if one.handoff.pending
    ]
    waiting.sort(key=lambda one: one["left"])
    return {
        "visit": visit,
        "waiting": waiting,
        "recent": recent["items"],
        "pinned": {one.seq: _pinned(one.body or {}) for one in recent["items"]},
        "next": recent.get("next"),
    }


def _pinned(body: Mapping[str, Any]) -> str:
    """Return what a handoff that began has pinned, and what of it the target may not read; empty for others."""
    context: Any = body.get("context")
    if not context or "epoch" not in body:
        return ""
    paths = [str(path) for duty in body.get("obligations", ()) for path in duty.get("paths", ())]
    less = f"; withheld: {', '.join(paths)}" if paths else ""
    return f"epoch {body['epoch']}, commitment {context['digest'][:10]}… before and after{less}"


def _left(deadline: object, now: int) -> float:
    return max((to_microseconds(str(deadline)) - now) / MICRO, 0.0) if deadline else 0.0


PAGES: Final = (
    Page(
        "workloads",
        "workloads",
        "list_packets",
        _list,
        ("status", "owner", "all", "stuck", "after"),
    ),
    Page("workloads/{packet_id}", "workloads", "show_packet", _one, ("after",)),
    Page("handoffs", "handoffs", "list_packets", _handoffs, ("before",)),
)
