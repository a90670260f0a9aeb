"""Capabilities: who can do it, is there only one, and which packets ask for it?"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pfgov.app.fleet import FleetView
from pfgov.app.views import MemberView, PacketView
from pfgov.errors import NotFoundError
from pfgov_api.console.actions import BY_NAME
from pfgov_api.console.figures import GONE, required_name
from pfgov_api.console.pages import PAGE_ROWS, Page, Shown, Visit
from pfgov_api.console.views.members import SYMBOLS

PROVIDERS_SHOWN: Final = 12
WITHDRAWN_FROM: Final = frozenset({"ACTIVE", "SUSPECT", "DRAINING", "QUARANTINED"})
"""Where a member has to stand for what it offers to be withdrawn."""


async def _list(visit: Visit) -> Shown:
    fleet: FleetView = await visit.visitor.ask("show_fleet")
    return Shown("Capabilities", "capabilities.html", partial(_values, visit, fleet))


def _values(visit: Visit, fleet: FleetView) -> Mapping[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    for member in fleet.members:
        if member.status == "RETIRED":
            continue
        for skill in member.capabilities:
            name = str(skill["name"])
            one = found.setdefault(
                name,
                {"name": name, "category": None, "says": None, "versions": set(), "able": [], "away": []},
            )  # fmt: skip
            one["category"] = one["category"] or skill.get("category")
            one["says"] = one["says"] or skill.get("description")
            one["versions"].add(str(skill.get("version") or "any"))
            one["away" if member.status in GONE else "able"].append(member.id)
    text = visit.query.get("q", "").lower()
    rows = [
        {**one, "versions": sorted(one["versions"]), "is_single": len(one["able"]) <= 1}
        for name, one in sorted(found.items())
        if text in name.lower() or text in str(one["says"] or "").lower()
    ]
    only = visit.query.get("single") == "true"
    rows = [one for one in rows if one["is_single"] or not only]
    start = min(visit.number("from") or 0, len(rows))
    return {
        "visit": visit,
        "rows": rows[start : start + PAGE_ROWS],
        "found": len(rows),
        "all": len(found),
        "single": sum(len(one["able"]) == 1 for one in found.values()),
        "nobody": sum(not one["able"] for one in found.values()),
        "next": start + PAGE_ROWS if start + PAGE_ROWS < len(rows) else None,
        "shown_max": PROVIDERS_SHOWN,
    }


@dataclass(frozen=True, slots=True)
class Offer:
    """A member that offers a capability, in a version."""

    member: MemberView
    version: str
    skill: Mapping[str, object]


async def _one(visit: Visit) -> Shown:
    fleet: FleetView = await visit.visitor.ask("show_fleet")
    waiting = await visit.visitor.ask("list_packets", {"status": "PENDING", "limit": PAGE_ROWS})
    name = visit.path["capability"]
    found = await asyncio.to_thread(_offers, visit, fleet, waiting["items"])
    sees_all = fleet.packets is not None and not waiting.get("next")
    if sees_all and not (found["offers"] or found["owned"] or found["waiting"]):
        raise NotFoundError(
            f"nobody offers {name}, and no packet asks for it",
            code="http.not_found",
            hint="a member names what it can do when it registers, or later",
        )
    return Shown(name, "capability.html", lambda: found)


def _offers(visit: Visit, fleet: FleetView, waiting: Sequence[PacketView]) -> Mapping[str, Any]:
    name = visit.path["capability"]
    offers = [
        Offer(member, str(skill.get("version") or "any"), skill)
        for member in fleet.members
        if member.status != "RETIRED"
        for skill in member.capabilities
        if skill["name"] == name
    ]
    offers.sort(key=lambda one: (one.member.status != "ACTIVE", one.member.id))
    owned = [
        one for one in fleet.packets or () if name in map(required_name, one.required_capabilities)
    ]
    start = min(visit.number("from") or 0, len(offers))
    described = [one.skill["description"] for one in offers if one.skill.get("description")]
    withdraw = BY_NAME["withdraw_capability"]
    return {
        "visit": visit,
        "name": name,
        "symbols": SYMBOLS,
        "offers": offers[start : start + PAGE_ROWS],
        "able": [one.member.id for one in offers if one.member.status not in GONE],
        "about": described[0] if described else None,
        "next": start + PAGE_ROWS if start + PAGE_ROWS < len(offers) else None,
        "owned": owned[:PAGE_ROWS],
        "owned_count": None if fleet.packets is None else len(owned),
        "waiting": [
            one for one in waiting if name in map(required_name, one.required_capabilities)
        ],
        "withdraws": WITHDRAWN_FROM if visit.visitor.may(withdraw.operation) else frozenset[str](),
    }


PAGES: Final = (
    Page("capabilities", "capabilities", "show_fleet", _list, ("q", "single", "from")),
    Page("capabilities/{capability}", "capabilities", "show_fleet", _one, ("from",)),
)
