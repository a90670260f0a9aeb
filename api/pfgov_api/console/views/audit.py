"""Audit: who did what?  Entries by type, actor, subject and outcome; one of them with its bytes and its proof."""

import base64
import json
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from pfgov.core.events import EVENTS
from pfgov_api.console.pages import PAGE_ROWS, Page, Shown, Visit
from pfgov_api.console.views.work import DECIDES

PRESETS: Final[tuple[tuple[str, Mapping[str, str]], ...]] = (
    ("Who owns what", {"type": "assignment_decision,handoff_completed"}),
    ("Why not", {"outcome": "denied"}),
    ("What moved", {"type": "handoff_started,handoff_completed,ownership_revoked"}),
    ("Who failed or left", {"type": "member_draining,member_failed,member_retired,member_suspected"}),
    ("Who reviewed", {"type": "review_expired,review_recorded,review_requested"}),
    ("Which late writes", {"type": "write_refused"}),
    ("Which rules", {"type": "configuration_changed,policy_activated,policy_refused"}),
)  # fmt: skip
"""The seven questions of an audit, as filters."""


async def _list(visit: Visit) -> Shown:
    query = {
        "newest": "true",
        "limit": PAGE_ROWS // 2,
        **{
            name: visit.query.get(name)
            for name in ("type", "actor", "subject", "outcome", "before")
        },
        **{name: visit.moment(name) for name in ("since", "until")},
    }
    found = await visit.visitor.ask("list_entries", query)

    def values() -> Mapping[str, Any]:
        return {
            "visit": visit,
            "entries": found["items"],
            "next": found.get("next"),
            "presets": PRESETS,
            "types": sorted(EVENTS),
            "decides": DECIDES,
            "may_export": visit.visitor.may("export_ledger"),
            "packet_id": _packet_of(visit),
        }

    return Shown("Audit", "audit.html", values)


def _packet_of(visit: Visit) -> str | None:
    """Return the packet whose entries are looked at, where that may be exported."""
    kind, _, name = visit.query.get("subject", "").partition("/")
    return name if kind == "packet" and name and visit.visitor.may("export_packet") else None


async def _one(visit: Visit) -> Shown:
    ask = visit.visitor.ask
    found = await ask("show_entry", seq=visit.path["seq"])  # which says what is no position
    seq: int = found["shown"].seq
    size = (await ask("status"))["size"]
    raw = base64.b64decode(found["entry"])
    entry = found["shown"]
    command = int(json.loads(raw)["command"]["seq"])
    asker = entry.principal
    if command != seq:
        asker = (await ask("show_entry", seq=str(command)))["shown"].principal
    return Shown(
        f"Entry {seq}",
        "entry.html",
        partial(_entry, visit, found, {"asker": asker, "asked_in": command, "size": size}),
    )


def _entry(visit: Visit, found: Mapping[str, Any], about: Mapping[str, Any]) -> Mapping[str, Any]:
    raw, entry = base64.b64decode(found["entry"]), found["shown"]
    kind, _, name = entry.subject.partition("/")
    parts = {"packet": "workloads", "member": "members"}
    return {
        **about,
        "visit": visit,
        "seq": entry.seq,
        "entry": entry,
        "text": json.dumps(json.loads(raw), indent=2, ensure_ascii=False, sort_keys=True),
        "length": len(raw),
        "signature": found["signature"],
        "part": parts.get(kind),
        "name": name,
        "explained": entry.type in DECIDES,
    }


PAGES: Final = (
    Page(
        "audit",
        "audit",
        "list_entries",
        _list,
        ("type", "actor", "subject", "outcome", "since", "until", "before"),
    ),
    Page("audit/{seq}", "audit", "show_entry", _one, is_live=False),
)
