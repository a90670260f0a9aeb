"""A comparison of two policy sets as lines and as Markdown for a review."""

import json

from pfgov.app.change.showing import code
from pfgov.core.wording import counted
from pfgov.policy.authoring.comparing.comparison import (
    Comparison,
    as_test,
    direction,
    shown_facts,
)
from pfgov.policy.authoring.comparing.search import Case, Disagreement
from pfgov.policy.authoring.comparing.structure import Change

_EFFECTS = {"widens": " (a widening)", "narrows": " (a narrowing)", "none": " (decides nothing)"}


def change_lines(found: Comparison) -> list[str]:
    """Return what is written differently, a line or three a change."""
    lines: list[str] = []
    for change in found.changes:
        head = f"{change.where}: {change.what}{_EFFECTS.get(change.effect, '')}"
        if change.old and change.new and len(change.old) + len(change.new) <= 60:
            lines.append(f"{head}: {change.old} -> {change.new}")
        else:
            lines.append(head)
            lines += [f"  - {change.old}"] if change.old else []
            lines += [f"  + {change.new}"] if change.new else []
    return lines or ["nothing is written differently"]


def verdict_line(found: Disagreement) -> str:
    """Return what the two sets say of a case, in one line."""
    way = {"wider": "the new set allows more", "narrower": "the new set allows less"}
    rules = sorted({r.name for r in (*found.old.reasons, *found.new.reasons)})
    why = f" ({', '.join(rules)})" if rules else ""
    said = way.get(direction(found), "they differ")
    return f"{said}: {found.old.outcome} -> {found.new.outcome}{why}"


def facts_lines(case: Case) -> list[str]:
    """Return the facts of a case that are not the plain ones, a line a root."""
    return [f"    {root}: {json.dumps(facts)}" for root, facts in shown_facts(case).items()]


def unseen_lines(found: Comparison) -> list[str]:
    """Return what is said of the decision points at which no case was found."""
    cases: dict[int, list[str]] = {}
    for one in found.points:
        if one.found is None:
            cases.setdefault(one.cases, []).append(one.point.value)
    lines = [
        f"{', '.join(points)}: no difference in {counted(number, 'case')}"
        for number, points in sorted(cases.items())
    ]
    return lines if found.points else ["no rule says anything else at any decision point"]


def markdown(found: Comparison, old: str, new: str) -> str:
    """Return *found* as Markdown: a comment on a pull request."""
    lines = [f"### Policy diff {code(old)} -> {code(new)}", ""]
    if found.changes:
        lines += ["| where | what | old | new | by itself |", "|---|---|---|---|---|"]
        lines += [_row(change) for change in found.changes]
    else:
        lines.append("Nothing is written differently.")
    for points, one in found.grouped:
        named = ", ".join(code(point.value) for point in points)
        lines += ["", f"**{named}**: {verdict_line(one)}", "", "```yaml"]
        lines += [*as_test(one).splitlines(), "```"]
    lines += ["", *[f"{line}." for line in unseen_lines(found)]]
    return "\n".join([*lines, ""])


def _row(change: Change) -> str:
    effect = _EFFECTS.get(change.effect, "").strip(" ()")
    return f"| {code(change.where)} | {code(change.what)} | {code(change.old)} | {code(change.new)} | {effect} |"
