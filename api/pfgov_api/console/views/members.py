"""Members: who is full, sick or leaving; and one of them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from pfgov.app.fleet import FleetView, OwnedView
from pfgov.app.views import MemberView
from pfgov_api.console import doing, figures
from pfgov_api.console.pages import PAGE_ROWS, Page, Shown, Visit

SYMBOLS: Final = {
    "ACTIVE": ("active", "takes work"),
    "SUSPECT": ("suspect", "its heartbeat is late"),
    "DRAINING": ("draining", "moves its work off"),
    "QUARANTINED": ("quarantined", "takes no new work"),
    "FAILED": ("failed", "declared failed"),
    "RETIRED": ("retired", "has left"),
}
DENSE_ABOVE: Final = 100
"""Members above which the list is one row a region, until a region is opened."""

LATEST: Final = 7
HISTORY: Final = 20
WAITS: Final = {
    "room": "for room",
    "policy": "for a member that policy admits",
    "members": "for members",
    "reviewer": "for a reviewer",
    "hold": "on hold",
    "a decision": "for a decision",
}


def waits(fleet: FleetView) -> list[str]:
    """Return what waiting packets wait for, in words, the most frequent first."""
    counted = Counter(fleet.waits_for).most_common()
    return [f"{count} {WAITS.get(what, what)}" for what, count in counted]


async def _list(visit: Visit) -> Shown:
    fleet: FleetView = await visit.visitor.ask("show_fleet")
    latest = await visit.visitor.ask("list_entries", {"newest": "true", "limit": LATEST})
    return Shown("Members", "members.html", partial(_fleet, visit, fleet, latest["items"]))


def _fleet(visit: Visit, fleet: FleetView, latest: Sequence[Any]) -> Mapping[str, Any]:
    members = _wanted(visit, fleet.members)
    groups = figures.grouped(members)
    is_dense = len(members) > DENSE_ABOVE
    opened = visit.query.get("region")
    ring = figures.ring(fleet, visit.query.get("member"))
    picked = ring["picked"] if ring else None
    living = [one for one in fleet.members if one.status not in figures.GONE]
    return {
        "visit": visit,
        "fleet": fleet,
        "counts": Counter(one.status for one in fleet.members),
        "symbols": SYMBOLS,
        "totals": figures.totals(fleet.members),
        "names": figures.NAMES,
        "full": sum(map(figures.is_full, living)),
        "living": len(living),
        "waits": waits(fleet),
        "groups": [
            _group(visit, fleet, name, group, is_open=not is_dense or name == opened)
            for name, group in groups.items()
        ],
        "is_dense": is_dense,
        "found": len(members),
        "picked": picked.id if picked else None,
        "ring": ring,
        "latest": latest,
        "may_register": visit.visitor.may("register_member"),
    }


def _wanted(visit: Visit, members: Sequence[MemberView]) -> list[MemberView]:
    status, text = visit.query.get("status"), visit.query.get("q", "").lower()
    return [
        one
        for one in members
        if (not status or one.status == status.upper())
        and (
            not text
            or text in one.id.lower()
            or any(text in str(skill["name"]).lower() for skill in one.capabilities)
        )
    ]


def _group(
    visit: Visit, fleet: FleetView, name: str, group: Sequence[MemberView], *, is_open: bool
) -> dict[str, Any]:
    start = min(visit.number("from") or 0, len(group)) if is_open else 0
    shown = group[start : start + PAGE_ROWS if is_open else start]
    owned: dict[str, list[OwnedView]] = defaultdict(list)
    if len(fleet.members) <= DENSE_ABOVE:
        for one in fleet.packets or ():
            owned[one.owner].append(one)
    scale = max((float(one.capacity.get("cpu", 0)) for one in fleet.members), default=0) or 1.0
    following = start + PAGE_ROWS
    return {
        "name": name,
        "count": len(group),
        "is_open": is_open,
        "totals": figures.totals(group),
        "counts": Counter(one.status for one in group),
        "rows": [{"is": one, "bars": figures.bars(one, owned[one.id], scale)} for one in shown],
        "from": start,
        "before": max(start - PAGE_ROWS, 0) if start else None,
        "after": following if is_open and following < len(group) else None,
    }


async def _one(visit: Visit) -> Shown:
    ask, member_id = visit.visitor.ask, visit.path["member_id"]
    member: MemberView = await ask("show_member", member_id=member_id)
    packets: list[Any] = []
    latest: list[Any] = []
    if visit.visitor.may("list_packets"):
        found = await ask("list_packets", {"owner": member_id, "limit": PAGE_ROWS})
        packets = found["items"]
    if visit.visitor.may("list_entries"):
        entries = await ask(
            "list_entries", {"subject": f"member/{member_id}", "newest": "true", "limit": HISTORY}
        )
        latest = entries["items"]
    return Shown(member_id, "member.html", partial(_member, visit, member, packets, latest))


def _member(
    visit: Visit, member: MemberView, packets: Sequence[Any], latest: Sequence[Any]
) -> Mapping[str, Any]:
    return {
        "visit": visit,
        "member": member,
        "packets": packets,
        "latest": latest,
        "symbol_of": SYMBOLS[member.status][0],
        "meaning": SYMBOLS[member.status][1],
        "bars": {
            name: figures.Bar(figures.used(member, name), member.capacity.get(name))
            for name in figures.DIMENSIONS
        },
        "names": figures.NAMES,
        "actions": doing.offered(visit.visitor, "member", member.status),
    }


PAGES: Final = (
    Page("members", "members", "show_fleet", _list, ("member", "status", "q", "region", "from")),
    Page("members/{member_id}", "members", "show_member", _one),
)
