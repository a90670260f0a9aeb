"""Analytics and the simulator: is it stable, and what if?"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from pfgov.app.analytics import AnalyticsView, NoteView
from pfgov.sim.metrics import DEFINITIONS
from pfgov.sim.scenarios import SCENARIOS
from pfgov.sim.watching import SHOWN, WATCHED
from pfgov_api.console.pages import Page, Shown, Visit
from pfgov_api.console.rendering import numeral
from pfgov_api.simulations import SCHEDULERS

TITLES: Final = {
    "stability": "Stability",
    "success_rate": "Success rate",
    "denial_rate": "Denial rate",
    "churn": "Churn",
    "balance": "Balance",
    "moves": "Migrations",
    "completed": "Completed",
    "reown_p99": "Time to a new owner, p99",
    "wait_p99": "Time to the first owner, p99",
}
PATTERNS: Final = (
    ("consistent-hashing", "Virtual nodes", "A ring: how much is remapped on join, leave, fail and recover?"),
    ("k8s-scheduling", "Capacity", "Bins: pressure, eviction and safe reassignment."),
    ("agentic-registry", "Agentic routing", "A directory: do reliability and trust decide who completes?"),
)  # fmt: skip
"""The three patterns of the specification."""


async def _analytics(visit: Visit) -> Shown:
    found: AnalyticsView = await visit.visitor.ask("show_analytics")
    return Shown("Analytics", "analytics.html", partial(_charts, visit, found))


def _charts(visit: Visit, found: AnalyticsView) -> Mapping[str, Any]:
    start, end = visit.number("from"), visit.number("to")
    notes = [
        one
        for one in found.notes
        if (start is None or one.seq >= start) and (end is None or one.seq <= end)
    ]
    return {
        "visit": visit,
        "found": found,
        "notes": notes,
        "charts": [_chart(name, notes, found.definitions[name]) for name in TITLES],
    }


def _chart(name: str, notes: Sequence[NoteView], definition: Mapping[str, str]) -> dict[str, Any]:
    """Return one metric as a line: from its least to its largest value, shares from 0 to 1."""
    points = [(index, one.values[name]) for index, one in enumerate(notes)]
    known = [(index, value) for index, value in points if value is not None]
    last = notes[-1].values[name] if notes else None
    is_share = definition["unit"] == "share"
    top = 1.0 if is_share else max((value for _, value in known), default=0.0) or 1.0
    wide = max(len(notes) - 1, 1)
    line = " ".join(
        f"{index * 100 / wide:.2f},{40 - 38 * min(value / top, 1.0):.2f}" for index, value in known
    )
    return {
        "name": name,
        "title": TITLES[name],
        "value": _value(last, definition),
        "is_nothing": last is None,
        "unit": "" if is_share or last is None else definition["unit"],
        "line": line,
        "top": "100 %" if is_share else _value(top, definition),
        "formula": definition["formula"],
        "ends": (known[-1][0] * 100 / wide, 40 - 38 * min(known[-1][1] / top, 1.0)) if known else None,
    }  # fmt: skip


def _value(value: float | None, definition: Mapping[str, str]) -> str:
    if value is None:
        return definition["of_nothing"]
    if definition["unit"] == "share":
        return f"{value * 100:.1f} %"
    is_whole = definition["unit"] == "count" or value >= 100
    return numeral(round(value)) if is_whole else f"{value:.3g}"


async def _simulator(visit: Visit) -> Shown:
    def values() -> Mapping[str, Any]:
        scenario = visit.query.get("scenario", "")
        return {
            "visit": visit,
            "scenarios": [SCENARIOS[name] for name in WATCHED],
            "patterns": PATTERNS,
            "schedulers": SCHEDULERS,
            "chosen": scenario if scenario in WATCHED else PATTERNS[0][0],
            "seed": visit.query.get("seed", "1"),
            "scheduler": visit.query.get("scheduler", ""),
            "metrics": [(name, DEFINITIONS[name]) for name in DEFINITIONS],
            "shown": SHOWN,
        }

    return Shown("Simulator", "simulator.html", values)


PAGES: Final = (
    Page("analytics", "analytics", "show_analytics", _analytics, ("from", "to")),
    Page(
        "simulator",
        "simulator",
        "simulate",
        _simulator,
        ("scenario", "seed", "scheduler"),
        is_live=False,
    ),
)
