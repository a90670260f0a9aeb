"""Overview: does anything need me?"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from pfgov.app.fleet import FleetView
from pfgov.errors import PfgovError
from pfgov_api.console import doing
from pfgov_api.console.pages import Page, Shown, Visit
from pfgov_api.console.views.members import WAITS

LATEST: Final = 8
WAITING_SHOWN: Final = 6
STEPS: Final = (
    ("Register", "a member joins", "member_registered", "/console/members", "pfgov member register"),
    ("Submit", "work comes in", "packet_created", "/console/workloads", "pfgov packet submit"),
    ("Assign", "policy and scheduler decide", "assignment_decision", "/console/assignments", "pfgov packet explain"),
    ("Hand off", "it moves with its context", "handoff_completed", "/console/handoffs", "pfgov packet handoff"),
    ("Audit", "anybody can prove it", "index_committed", "/console/audit", "pfgov ledger verify"),
)  # fmt: skip


async def _show(visit: Visit) -> Shown:
    ask = visit.visitor.ask
    fleet, status, latest, reviews, moving = await asyncio.gather(
        ask("show_fleet"),
        ask("status"),
        ask("list_entries", {"newest": "true", "limit": LATEST}),
        ask("list_packets", {"status": "AWAITING_REVIEW", "limit": WAITING_SHOWN}),
        ask("list_packets", {"status": "HANDOFF_PENDING", "limit": WAITING_SHOWN}),
    )
    last = await asyncio.gather(
        *(
            ask("list_entries", {"newest": "true", "limit": 1, "type": step[2]})
            for step in STEPS
        )
    )  # fmt: skip
    fault: PfgovError | None = None
    try:
        await ask("ready")
    except PfgovError as error:
        fault = error
    found = {
        "status": status,
        "latest": latest["items"],
        "reviews": reviews["items"],
        "moving": moving["items"],
        "fault": fault,
        "steps": [
            {"step": step, "last": one["items"][0] if one["items"] else None}
            for step, one in zip(STEPS, last, strict=True)
        ],
    }
    return Shown("Overview", "overview.html", partial(_values, visit, fleet, found))


def _values(visit: Visit, fleet: FleetView, found: Mapping[str, Any]) -> Mapping[str, Any]:
    skills = {str(skill["name"]) for one in fleet.members for skill in one.capabilities}
    packets: Mapping[str, int] = found["status"]["packets"]
    return {
        **found,
        "visit": visit,
        "fleet": fleet,
        "counts": Counter(one.status for one in fleet.members),
        "capabilities": len(skills),
        "packets": sum(packets.values()),
        "causes": [
            (count, WAITS.get(what, what)) for what, count in Counter(fleet.waits_for).most_common()
        ],
        "needs": _needs(fleet, found),
        "may_review": partial(doing.may_review, visit.visitor),
        "witnesses": found["status"]["witnesses"],
    }


def _needs(fleet: FleetView, found: Mapping[str, Any]) -> int:
    """Count what a person has to look at."""
    halted = found["status"]["halted"] is not None
    return int(halted) + int(found["fault"] is not None) + fleet.waits_for.get("reviewer", 0)


PAGES: Final = (Page("overview", "overview", "show_fleet", _show),)
