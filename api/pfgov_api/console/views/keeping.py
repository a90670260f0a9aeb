"""Settings and keys: what decisions read, who signs, and who may come in."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from pfgov_api.console.pages import Page, Shown, Visit
from pfgov_ledger.lifecycle import LEDGER_ROLES

GROUPS: Final[tuple[tuple[str, Mapping[str, str]], ...]] = (
    (
        "Placing",
        {
            "scheduler": "Who chooses among those whom policy admits",
            "attempts_max": "Owners that died of a packet, or gave it back, until it fails",
            "max_handoffs": "Handoffs of a packet that names no limit",
            "handoff_timeout": "Seconds until a handoff that nobody accepts is aborted",
            "half_life": "Seconds in which the past counts half for reliability",
        },
    ),
    (
        "Policy",
        {
            "activation_approvals": "Approvals that a policy set needs before it can be made binding",
            "activation_bundle": "1: only a set that comes in a signed bundle can be made binding",
            "activation_report": "Last entries that a signed report of impact has to be about; 0 asks for none",
            "activation_report_lag": "Entries by which such a report may be behind",
            "review_timeout": "Seconds that a review is waited for, where a rule names no time",
            "retain_interval": "Seconds between two judgements of what is owned",
        },
    ),
    (
        "Leases",
        {
            "lease_seconds": "Seconds that a member may be silent, where it names none",
            "suspect_permille": "Thousandths of a lease after which a silent member is suspect",
            "expiry_share_permille": "Thousandths of the fleet that may fail at once before leases stop to end",
            "expiry_floor": "Failures that never count as too many",
            "clock_jump_max": "Seconds that the clock may leap ahead before leases stop to end",
        },
    ),
    (
        "Pressure and evening out",
        {
            "pressure_high": "Share of a capacity from which a member is under pressure",
            "pressure_low": "Share below which it is not any more",
            "rebalance_gain_permille": "Thousandths by which a move has to even out",
            "rebalance_budget": "Moves at once; 0 moves nothing",
            "rebalance_cooldown": "Seconds that a moved packet stays",
            "flap_limit": "Failures of a member in a row until it is quarantined",
            "flap_window": "Seconds within which they follow one another",
            "flap_penalty": "Seconds of that quarantine, doubled each time",
        },
    ),
)
"""Each setting and what it means; one that is not here is shown all the same, below."""


async def _settings(visit: Visit) -> Shown:
    ask = visit.visitor.ask
    found, changes = await asyncio.gather(
        ask("show_configuration"),
        ask("list_entries", {"newest": "true", "type": "configuration_changed", "limit": 10}),
    )
    values: Mapping[str, Any] = found["configuration"]

    def shown() -> Mapping[str, Any]:
        known = {name for _, group in GROUPS for name in group}
        groups = [
            (title, [(name, values[name], says) for name, says in group.items() if name in values])
            for title, group in GROUPS
        ]
        others = [(name, value, "") for name, value in values.items() if name not in known]
        return {
            "visit": visit,
            "groups": [*groups, *([("Others", others)] if others else [])],
            "changes": changes["items"],
            "may_change": visit.visitor.may("configure"),
        }

    return Shown("Settings", "settings.html", shown)


async def _keys(visit: Visit) -> Shown:
    found = await visit.visitor.ask("list_keys")
    api_keys: list[Any] | None = None
    if visit.visitor.may("list_api_keys"):
        api_keys = (await visit.visitor.ask("list_api_keys"))["keys"]
    return Shown("Keys", "keys.html", partial(_shown_keys, visit, found, api_keys))


def _shown_keys(
    visit: Visit, found: Mapping[str, Any], api_keys: list[Any] | None
) -> Mapping[str, Any]:
    return {
        "visit": visit,
        "origin": found["origin"],
        "keys": sorted(
            found["keys"], key=lambda one: (LEDGER_ROLES.index(one["role"]), one["since"])
        ),
        "api_keys": api_keys,
        "in_force": sum(one["revoked_at"] is None for one in api_keys or ()),
        "issuer": visit.visitor.issuer,
        "is_open": visit.visitor.service.access.is_open,
        "may_rotate": visit.visitor.may("rotate_key"),
    }


PAGES: Final = (
    Page("settings", "settings", "show_configuration", _settings),
    Page("keys", "keys", "list_keys", _keys, is_live=False),
)
