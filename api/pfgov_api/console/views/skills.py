"""Capabilities: who can do it, and is there only one?"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from pfgov.app.fleet import FleetView
from pfgov_api.console.figures import GONE
from pfgov_api.console.pages import PAGE_ROWS, Page, Shown, Visit

PROVIDERS_SHOWN: Final = 12


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


PAGES: Final = (Page("capabilities", "capabilities", "show_fleet", _list, ("q", "single", "from")),)
