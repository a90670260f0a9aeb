"""Policies: what is binding, rule by rule, what is proposed, what was binding before, and what two sets differ in.

Also what those in shadow mode would have done.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from pfgov.errors import NotFoundError
from pfgov_api.console import changing, doing, playground, policy_texts
from pfgov_api.console.actions import BY_NAME, Action
from pfgov_api.console.pages import Page, Shown, Visit

HISTORY_SHOWN: Final = 20
SHADOW_DECISIONS: Final = 100
"""Decisions over which the verdicts of rules that only watch are counted."""

CHANGES_SHOWN: Final = 200


async def _show(visit: Visit) -> Shown:
    ask, digest = visit.visitor.ask, visit.query.get("digest")
    binding, history, proposals, decided, publishers = await asyncio.gather(
        ask("show_policies"),
        ask(
            "list_entries",
            {
                "newest": "true",
                "type": "policy_activated,policy_refused,policy_proposed,policy_rejected",
                "limit": HISTORY_SHOWN,
            },
        ),
        ask("list_proposals"),
        ask(
            "list_entries",
            {"newest": "true", "type": "assignment_decision", "limit": SHADOW_DECISIONS},
        ),
        ask("list_publishers"),
    )
    document: dict[str, Any] | None = None
    if visit.visitor.may("policy_document"):
        try:
            document = json.loads(await ask("policy_document", {"digest": digest}))
        except NotFoundError:
            if digest:
                raise
    found = {
        "binding": binding,
        "history": history["items"],
        "proposals": proposals["items"],
        "shadow": _shadow(decided["items"]),
        "publishers": publishers["items"],
    }
    return Shown("Policies", "policies.html", partial(_values, visit, found, document))


def _shadow(entries: Any) -> list[tuple[str, int]]:
    """Return how often rules that only watch would have refused somebody."""
    found: Counter[str] = Counter()
    for one in entries:
        decision: Any = one.body.get("decision") or {}
        for rule, count in decision.get("shadow") or ():
            found[str(rule)] += int(count)
    return found.most_common()


def _values(
    visit: Visit, found: Mapping[str, Any], document: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    binding = found["binding"]
    digest = visit.query.get("digest") or binding["digest"]
    policies = (document or binding)["policies"]
    return {
        **found,
        "visit": visit,
        "digest": digest,
        "is_binding": digest == binding["digest"],
        "policies": policies,
        "is_whole": document is not None,
        "coverage": binding["coverage"],
        "rules": sum(len(one["rules"]) for one in policies),
        "shadow_of": SHADOW_DECISIONS,
        "actions": {
            one["digest"]: [
                action
                for action in doing.offered(visit.visitor, "proposal", "OPEN")
                if doing.may_judge(visit.visitor, action, one["proposer"])
            ]
            for one in found["proposals"]
        },
        "back": _one(doing.offered(visit.visitor, "set", "EARLIER")),
        "promotions": doing.offered(visit.visitor, "policy", "SHADOW"),
        "revocations": doing.offered(visit.visitor, "publisher", "trusted"),
        "trust": BY_NAME["trust_publisher"] if visit.visitor.may("trust_publisher") else None,
        "in_shadow": sorted(one["name"] for one in binding["policies"] if one["mode"] == "shadow"),
        "may_weigh": visit.visitor.may("policies_in_shadow"),
        "packs": policy_texts.PACKS,
        "may_try": visit.visitor.may("evaluate_policies"),
        "may_test": visit.visitor.may("test_policies"),
        "may_read": visit.visitor.may("policy_document"),
    }


def _one(found: Sequence[Action]) -> Action | None:
    return found[0] if found else None


async def _in_shadow(visit: Visit) -> Shown:
    found = await changing.in_shadow(visit.visitor)
    promotions = doing.offered(visit.visitor, "policy", "SHADOW")
    return Shown(
        "In shadow mode",
        "policies_in_shadow.html",
        lambda: {"visit": visit, "found": found, "promotions": promotions},
    )


async def _compare(visit: Visit) -> Shown:
    old, new = visit.query.get("old"), visit.query.get("new")
    read = partial(playground.recorded, visit.visitor)
    # with one set it is compared with the binding one; with none, that with the kernel alone
    first, second = read(old or None) if old or new else _kernel(), read(new or None)
    documents = await asyncio.gather(first, second)

    def values() -> Mapping[str, Any]:
        before, after = map(policy_texts.set_of, documents)
        rows = policy_texts.changed(before, after)
        return {
            "visit": visit,
            "old": before.digest,
            "new": after.digest,
            "rows": rows[:CHANGES_SHOWN],
            "more": max(len(rows) - CHANGES_SHOWN, 0),
        }

    return Shown("Difference", "policy_difference.html", values)


async def _kernel() -> bytes:
    return b""


PAGES: Final = (
    Page("policies", "policies", "show_policies", _show, ("digest",), is_personal=True),
    Page("policies/difference", "policies", "policy_document", _compare, ("old", "new"), is_live=False),
    Page("policies/shadow", "policies", "policies_in_shadow", _in_shadow, is_live=False),
    Page("policies/try", "policies", "evaluate_policies", playground.begin, ("set",), is_live=False),
)  # fmt: skip
