"""What another policy set would change, for pages and forms: the impact of an earlier set, or of one in shadow mode.

It asks the API's own operations in the visitor's name and words what they say as every door does.  Nothing is compiled
here and nothing is recorded.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from pfgov.app.change.showing import consequence_lines, flip_row, from_answer, kinds, summary
from pfgov.errors import PfgovError
from pfgov_api.console import policy_texts
from pfgov_api.console.ahead import Ahead
from pfgov_api.console.visiting import Visitor

FLIPS_SHOWN: Final = 20
TITLE: Final = "What that would change"


def shown(found: object) -> dict[str, Any]:
    """Return what a page says of a report in an answer of the API."""
    report = from_answer(found)
    return {
        "summary": summary(report),
        "is_history_asked": report.ledger.first < report.ledger.size,
        "kinds": kinds(report),
        "flips": [flip_row(one) for one in report.flips[:FLIPS_SHOWN]],
        "more_flips": max(report.counts.flips - FLIPS_SHOWN, 0),
        "now": consequence_lines(report.now),
    }


async def in_shadow(visitor: Visitor) -> list[Mapping[str, Any]]:
    """Return what each policy in shadow mode would have done, in the order of their names.

    Raises:
        PfgovError: as ``policies_in_shadow`` does.
    """
    found = (await visitor.begin("policies_in_shadow", {})).body["items"]
    return [{"policy": one["policy"], **shown(one["report"])} for one in found]


async def of_set(visitor: Visitor, digest: str) -> Ahead | None:
    """Return what the recorded set *digest* would change; None where that may not be asked."""
    if not (visitor.may("policy_document") and visitor.may("policy_impact")):
        return None
    try:
        document: bytes = await visitor.ask("policy_document", {"digest": digest})
        files = await asyncio.to_thread(_files, document)
        found = (await visitor.begin("policy_impact", {"files": files})).body
    except PfgovError as error:
        return Ahead([(TITLE, error.message)], title=TITLE)
    return _ahead(found["report"])


def _files(document: bytes) -> dict[str, str]:
    return policy_texts.files_of(policy_texts.text_of(policy_texts.set_of(document)))


async def of_shadow(visitor: Visitor, name: str) -> Ahead | None:
    """Return what the policy *name* would change, were it in force; None where that may not be asked."""
    if not visitor.may("policies_in_shadow"):
        return None
    try:
        found = (await visitor.begin("policies_in_shadow", {})).body["items"]
    except PfgovError as error:
        return Ahead([(TITLE, error.message)], title=TITLE)
    for one in found:
        if one["policy"] == name:
            return _ahead(one["report"])
    return Ahead(title=TITLE, nothing=f"{name} is not in shadow mode.")


def _ahead(found: object) -> Ahead:
    """Return a report in lines: what was asked, what changes, and what happens at once."""
    report = from_answer(found)
    rows = dict(summary(report))
    lines = [(rows[name], name) for name in ("wider", "narrower")]
    lines.insert(0, ("Asked:", rows["asked"]))
    lines += [(f"{number:,}", what) for what, number in kinds(report)]
    lines += [("At once:", line) for line in consequence_lines(report.now)]
    return Ahead(lines, title=TITLE)
