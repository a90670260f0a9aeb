"""Assignments: why this one?  Every candidate, rule, observed value and bound, beside the signed entry."""

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

from pfgov.app.views import PacketView, VerdictRow
from pfgov.app.views.verdicts import CUT, ReasonView, plain
from pfgov.errors import NotFoundError, PfgovError
from pfgov_api.console import doing
from pfgov_api.console.ahead import where
from pfgov_api.console.pages import PAGE_ROWS, Page, Shown, Visit
from pfgov_api.console.rendering import numeral

SHORT: Final = {
    "minimum-trust": "trust",
    "pii-clearance": "clearance",
    "pii-review": "PII review",
    "pii-trust": "trust for PII",
}
KINDS: Final = ("chosen", "eligible", "escalated", "refused")
WORDS: Final = {
    "chosen": "chosen",
    "eligible": "could have",
    "escalated": "need a review",
    "refused": "refused",
}
SHOWN_WHOLE: Final = 2**32
CHANGED_MAX: Final = 20
"""Members named that may now and might not then, or the other way round."""

GLYPHS_MAX: Final = 60
CELL_LENGTH_MAX: Final = 26
SCORES_SHOWN: Final = 5
SYMBOL_OF: Final = {
    "allowed": "chosen", "escalated": "escalated", "no_capacity": "pending", "no_candidate": "pending"
}  # fmt: skip
"""What has no room waits; nobody refused it."""


async def _list(visit: Visit) -> Shown:
    named = {
        name: visit.query.get(name) for name in ("outcome", "packet", "member", "rule", "before")
    }
    times = {name: visit.moment(name) for name in ("since", "until")}
    query = {**named, **times, "newest": "true", "limit": PAGE_ROWS // 2}
    found = await visit.visitor.ask("list_decisions", query)
    return Shown("Assignments", "assignments.html", partial(_rows, visit, found))


def _rows(visit: Visit, found: Mapping[str, Any]) -> Mapping[str, Any]:
    rows: list[dict[str, Any]] = [
        {
            "is": one,
            "outcome": (outcome := _outcome(one.body)),
            "symbol": SYMBOL_OF.get(outcome, "refused"),
            "packet": one.body.get("packet_id"),
            "owner": _owner(one.body),
            "decision": one.body.get("decision") or {},
        }
        for one in found["items"]
    ]
    return {"visit": visit, "rows": rows, "next": found.get("next")}


def _outcome(body: Mapping[str, Any]) -> str:
    return str(body.get("outcome", "allowed"))


def _owner(body: Mapping[str, Any]) -> str | None:
    found: Any = body.get("owner") or body.get("target")
    return None if found is None else str(found["member_id"])


async def _show(visit: Visit) -> Shown:
    ask, seq = visit.visitor.ask, visit.path["seq"]
    decided = await ask("explain_decision", seq=seq)
    body = decided["entry"].body
    packet_id = body.get("packet_id")
    if packet_id is None:
        raise NotFoundError(f"entry {seq} decides about no packet", code="decision.not_found")
    packet = await ask("show_packet", packet_id=packet_id)
    raw = await ask("show_entry", seq=seq)
    lineage = await ask("list_decisions", {"packet": packet_id, "limit": 1000})
    rules = await _rules(visit, decided["policy"])
    command = int(json.loads(base64.b64decode(raw["entry"]))["command"]["seq"])
    asker = decided["entry"].principal
    if command != int(seq):
        asker = (await ask("show_entry", seq=str(command)))["shown"].principal
    order = [one.seq for one in lineage["items"]]
    again = await _again(visit, packet_id) if visit.query.get("again") == "true" else None
    about = {"asker": asker, "asked_in": command, "order": order, "rules": rules, "again": again}
    title = _title(decided, packet_id, _owner(body))
    return Shown(title, "decision.html", partial(_decision, visit, decided, packet, about))


async def _again(visit: Visit, packet_id: str) -> Mapping[str, Any]:
    """Return what a dry run says now about the same packet, or why it cannot be asked."""
    try:
        return {"found": await visit.visitor.dry_run(packet_id), "error": None}
    except PfgovError as error:
        return {"found": None, "error": error}


def _since_then(
    now: Mapping[str, Any] | None, able: Collection[str], owner: str | None
) -> Mapping[str, Any] | None:
    """Return how a dry run of now differs from a decision of then, in which *able* were eligible.

    Where *owner* has the packet now, the question is who else could: it is not counted on either side.
    """
    if now is None or now["found"] is None:
        return now
    found = now["found"]
    then, there = set(able) - {owner}, set(found["eligible"]) - {owner}
    return {
        **now,
        "gained": sorted(there - then)[:CHANGED_MAX],
        "lost": sorted(then - there)[:CHANGED_MAX],
        "is_same": then == there,
        "says": f"It {says}" if (says := where(found)).startswith("would") else says.capitalize(),
    }


async def _rules(visit: Visit, digest: str) -> dict[str, Any]:
    """Return the rules of the set that judged, by full name; none where that may not be read."""
    if not visit.visitor.may("policy_document"):
        return {}
    try:
        raw = await visit.visitor.ask("policy_document", {"digest": digest})
    except NotFoundError:
        return {}
    document = json.loads(raw)
    return {
        f"{policy['name']}/{rule['id']}": rule
        for policy in document["policies"]
        for rule in policy["rules"]
    }


def _title(decided: Mapping[str, Any], packet_id: str, owner: str | None) -> str:
    match decided["outcome"]:
        case "allowed":
            return f"{packet_id} goes to {owner}"
        case "escalated":
            return f"{packet_id} waits for a review"
        case "no_capacity":
            return f"Nobody has room for {packet_id}"
        case _:
            return f"Nobody may own {packet_id}"


def _decision(
    visit: Visit, decided: Mapping[str, Any], packet: PacketView, about: Mapping[str, Any]
) -> Mapping[str, Any]:
    entry, body = decided["entry"], decided["entry"].body
    owner = _owner(body)
    is_allowed = decided["outcome"] == "allowed"
    rows = [_row(one, is_allowed and one.member_id == owner) for one in decided.get("members", ())]
    rows.sort(key=_rank)
    columns = _columns(decided, packet, rows, about["rules"])
    only = visit.query.get("rule")
    fitting = [one for one in rows if not only or only in one["by_rule"]]
    start = min(visit.number("from") or 0, len(fitting))
    eligible = [one for one in rows if one["kind"] in {"chosen", "eligible"}]
    unit = _score(packet, body["decision"].get("scheduler") or {}, eligible)
    chosen = next((one for one in eligible if one["kind"] == "chosen"), None)
    order, seq = about["order"], entry.seq
    index = order.index(seq) if seq in order else 0
    silent = [
        name
        for name, rule in sorted(about["rules"].items())
        if decided["point"] in rule["on"] and name not in decided["rejected"]
    ]
    return {
        "visit": visit,
        "seq": seq,
        "title": _title(decided, packet.packet_id, owner),
        "decided": decided,
        "entry": entry,
        "body": body,
        "packet": packet,
        "owner": owner,
        "symbol_of": SYMBOL_OF.get(decided["outcome"], "refused"),
        "cohorts": _cohorts(rows),
        "columns": columns,
        "silent": silent,
        "rows": fitting[start : start + PAGE_ROWS],
        "found": len(fitting),
        "all": len(rows),
        "from": start,
        "next": start + PAGE_ROWS if start + PAGE_ROWS < len(fitting) else None,
        "only": only,
        "eligible": eligible[:SCORES_SHOWN],
        "more_eligible": max(len(eligible) - SCORES_SHOWN, 0),
        "scheduler": body["decision"].get("scheduler") or {},
        "unit": unit,
        "formula": _formula(packet, body["decision"].get("scheduler") or {}, chosen),
        "near": decided.get("nearest_misses") or [],
        "before": order[index - 1] if index else None,
        "later": order[index + 1] if index + 1 < len(order) else None,
        "index": index + 1,
        "count": max(len(order), 1),
        "again": _since_then(
            about["again"], [one["is"].member_id for one in eligible], packet.current_owner
        ),
        "may_ask": visit.visitor.may("discover"),
        "actions": [
            one
            for one in doing.offered(visit.visitor, "packet", packet.status)
            if one.operation == "assign_packet"
        ],
        "asker": about["asker"],
        "asked_in": about["asked_in"],
    }


def _row(found: VerdictRow, is_chosen: bool) -> dict[str, Any]:  # noqa: FBT001 - one call
    kind = "refused"
    if is_chosen:
        kind = "chosen"
    elif found.is_eligible:
        kind = "eligible"
    elif found.outcome == "escalate":
        kind = "escalated"
    by_rule = {one.rule: {"is": one, "cell": _cell(one)} for one in found.reasons}
    return {"is": found, "kind": kind, "by_rule": by_rule}


def _rank(row: Mapping[str, Any]) -> tuple[int, int, int, str]:
    found: VerdictRow = row["is"]
    return (
        KINDS.index(row["kind"]),
        -(found.score or 0),
        len(found.reasons),
        found.member_id,
    )


def _cell(reason: ReasonView) -> str:
    """Return in a word or two what was seen where it was not enough."""
    name = reason.rule.partition("/")[2] or reason.rule
    if reason.missing:
        return "unknown"
    if name in {"capabilities", "pii-clearance"}:
        bound = plain(reason.bound or "")
        if bound.endswith(CUT):
            return "lacks several" if ", " in bound else f"lacks {bound}"
        lacking = bound.split(", ")
        return f"lacks {lacking[0] if len(lacking) == 1 else len(lacking)}"
    seen = plain(reason.observed or "")
    return seen if len(seen) <= CELL_LENGTH_MAX else seen[: CELL_LENGTH_MAX - 2] + "…"


def _columns(
    decided: Mapping[str, Any],
    packet: PacketView,
    rows: Sequence[Mapping[str, Any]],
    rules: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return the rules that stopped somebody, the one that stopped most first."""
    bounds: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for rule, reason in row["by_rule"].items():
            bounds[rule].add(plain(reason["is"].bound or ""))
    stopped = sorted(decided["rejected"].items(), key=lambda one: (-one[1], one[0]))
    considered = max(decided["considered"], 1)
    return [
        {
            "rule": rule,
            "name": SHORT.get(short := rule.rpartition("/")[2], short.removeprefix("pfgov:")),
            "count": count,
            "share": round(count * 100 / considered, 2),
            "want": _want(short, packet, bounds[rule]),
            **_text(rules.get(rule)),
        }
        for rule, count in stopped
    ]


def _text(rule: Any) -> dict[str, str | None]:
    """Return the expressions of a rule of the document."""
    if rule is None:
        return {"when": None, "condition": None}
    return {"when": rule["when"], "condition": rule["condition"]}


def _want(rule: str, packet: PacketView, bounds: set[str]) -> str:
    """Return what a rule asked for: of the packet where it says so, else the one bound that all were held to."""
    regions: Any = packet.policy_constraints.get("allowed_regions") or ()
    asked = {
        "capabilities": ("needs", packet.required_capabilities),
        "region": ("within", regions),
        "pii-clearance": ("covers", packet.data_classes),
    }.get(rule)
    if asked is not None and asked[1]:
        return f"{asked[0]} {', '.join(asked[1])}"
    if rule == "pii-review":
        return "granted by a person"
    bound = next(iter(bounds)) if len(bounds) == 1 else ""
    return f"at least {bound}" if bound and "trust" in rule else bound


def _cohorts(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    counts = Counter(str(row["kind"]) for row in rows)
    return [
        {
            "kind": kind,
            "word": WORDS[kind],
            "count": counts[kind],
            "ids": [row["is"].member_id for row in rows if row["kind"] == kind][:GLYPHS_MAX],
        }
        for kind in KINDS
        if counts[kind]
    ]


def _formula(
    packet: PacketView, scheduler: Mapping[str, Any], row: Mapping[str, Any] | None
) -> str:
    """Return the scheduler's formula with the numbers of this packet and of whom it chose; empty if none is known."""
    if row is None or row["is"].score is None:
        return ""
    member, score = row["is"], row["is"].score
    demand = (
        ", ".join(f"{name} {numeral(amount)}" for name, amount in packet.demand.items()) or "a task"
    )
    strategy = dict(scheduler.get("parameters", ())).get("strategy", "least-allocated")
    load = f"reliability / (1 + {member.active} owned)"
    formulas = {
        "rendezvous": f"draw({packet.packet_id}, {member.member_id})",
        "ring": f"1 - the way from {packet.packet_id} to the next of {member.member_id}",
        "binpack": f"{strategy} over (capacity - used - demand) / capacity, demand {demand}",
        "agent": load,
        "trust-weighted": f"trust x {load}",
    }
    found = formulas.get(str(scheduler.get("name", "")))
    if not found:
        return ""
    is_small = row["whole"] < SHOWN_WHOLE  # sixteen digits mean nothing to anybody
    return f"{found} = " + (
        f"{numeral(score)} of {numeral(row['whole'])}" if is_small else f"{row['part']:.3f}"
    )


_WHOLE: Final = {"agent": 1_000_000, "trust-weighted": 1_000_000, "seed-ring": 10_000}
_SAYS: Final = {
    "rendezvous": "A weighted draw for each member, fixed by the ids. The largest wins; its size means nothing else.",
    "ring": "How near the member's next virtual node is, clockwise. The nearest one with room wins.",
    "binpack": "How well the packet fits beside what is there already, over the dimensions that count.",
    "agent": "Trust, reliability and room, weighted. The largest wins.",
    "trust-weighted": "Trust and reliability, weighted. The largest wins.",
}


def _score(
    packet: PacketView, scheduler: Mapping[str, Any], eligible: Sequence[dict[str, Any]]
) -> str:
    """Give each of *eligible* its score as a part of the largest possible one; return what the score means."""
    name = str(scheduler.get("name", ""))
    whole = _WHOLE.get(name, 2**53)
    if name == "binpack":
        chosen = dict(scheduler.get("parameters", ()))
        kinds = chosen.get("dimensions", "cpu,memory").split(",")
        is_sum = chosen.get("strategy", "least-allocated") in {"least-allocated", "most-allocated"}
        whole = 1_000_000 * (max(sum(one in packet.demand for one in kinds), 1) if is_sum else 1)
    for one in eligible:
        one["whole"] = whole
        one["part"] = min((one["is"].score or 0) / whole, 1.0)
    return _SAYS.get(name, "The largest wins.")


PAGES: Final = (
    Page(
        "assignments",
        "assignments",
        "list_decisions",
        _list,
        ("outcome", "packet", "member", "rule", "since", "until", "before"),
    ),
    Page("assignments/{seq}", "assignments", "explain_decision", _show, ("rule", "from", "again")),
)
