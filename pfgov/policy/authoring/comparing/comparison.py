"""Two policy sets compared: what is written differently, and for each decision point a case on which they disagree.

A case comes as facts, as both verdicts and as a test ready to be pasted beside the policies.  Where none was found, the
answer is "no difference in N cases", never "equal"; where nothing is said differently, no case has to be tried.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pfgov.core.verdicts import Point, Verdict
from pfgov.errors import PolicyError
from pfgov.policy.authoring import inputs
from pfgov.policy.authoring.comparing.search import (
    CASES_MAX,
    START,
    Case,
    Disagreement,
    Searched,
    search,
)
from pfgov.policy.authoring.comparing.structure import Change, Effect, changes
from pfgov.policy.authoring.occurring import CHANGED
from pfgov.policy.authoring.testing.runner import read_tests
from pfgov.policy.cel.times import format_timestamp
from pfgov.policy.cel.values import Timestamp
from pfgov.policy.facts import ABSENT_AT, MORE, ROOTS_AT
from pfgov.policy.judging.judge import PolicySet
from pfgov.policy.load import read_directory

_RANK: Final = {"deny": 0, "escalate": 1, "allow": 2}

Direction = Literal["wider", "narrower", "other"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is different between two sets."""

    old: PolicySet
    new: PolicySet
    changes: tuple[Change, ...]
    points: tuple[Searched, ...]
    """Each decision point at which something is said differently; twice where more is allowed, and less as well."""

    @property
    def disagreements(self) -> list[tuple[Point, Disagreement]]:
        """The points on which a case was found, with it."""
        return [(one.point, one.found) for one in self.points if one.found is not None]

    @property
    def grouped(self) -> list[tuple[list[Point], Disagreement]]:
        """The disagreements, with the points together at which they are the same."""
        found: dict[str, tuple[list[Point], Disagreement]] = {}
        for point, one in self.disagreements:
            said = (shown_facts(one.case), one.old.outcome, one.new.outcome)
            found.setdefault(repr(said), ([], one))[0].append(point)
        return list(found.values())

    @property
    def is_widening(self) -> bool:
        """Whether a case was found that the new set allows more, or a change does so by its kind."""
        return self._goes("wider", "widens")

    @property
    def is_narrowing(self) -> bool:
        """Whether a case was found that the new set allows less, or a change does so by its kind."""
        return self._goes("narrower", "narrows")

    def _goes(self, way: Direction, effect: Effect) -> bool:
        """Whether a case goes that *way*, or a change has that *effect* where something is said differently at all."""
        if any(direction(one) in {way, "other"} for _, one in self.disagreements):
            return True  # what is other goes both ways: somebody else is asked, something else is withheld
        return bool(self.points) and any(change.effect == effect for change in self.changes)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "old": self.old.digest,
            "new": self.new.digest,
            "changes": [
                {
                    "where": one.where,
                    "what": one.what,
                    "old": one.old,
                    "new": one.new,
                    "effect": one.effect,
                }
                for one in self.changes
            ],
            "points": [_point(one) for one in self.points],
            "widens": self.is_widening,
            "narrows": self.is_narrowing,
        }


def _point(searched: Searched) -> dict[str, Any]:
    found = searched.found
    made: dict[str, Any] = {"point": searched.point.value, "cases": searched.cases}
    if found is not None:
        made["case"] = {
            "facts": shown_facts(found.case),
            "old": _verdict(found.old),
            "new": _verdict(found.new),
            "direction": direction(found),
            "test": as_test(found),
        }
    return made


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "outcome": verdict.outcome,
        "rules": [reason.name for reason in verdict.reasons],
        "obligations": sorted({one.type for one in verdict.obligations}),
    }


def direction(found: Disagreement) -> Direction:
    """Return whether the new set allows more on a case, or less."""
    old, new = _RANK[found.old.outcome], _RANK[found.new.outcome]
    if old != new:
        return "wider" if new > old else "narrower"
    owed, due = _duties(found.old), _duties(found.new)
    less = any(not _is_owed(duty, due) for duty in owed)
    more = any(not _is_owed(duty, owed) for duty in due)
    if less and more:
        return "other"
    if less or more:
        return "wider" if less else "narrower"
    return _fewer_asked(found)


def _duties(verdict: Verdict) -> set[tuple[str, str]]:
    """Return each duty with what it is about: a path that is withheld, somebody who is told or asked."""
    return {
        (one.type, about)
        for one in verdict.obligations
        for about in (
            *(path.replace("/*", "") for path in one.paths),
            *([one.to] if one.to else ()),
        )
    }


def _is_owed(duty: tuple[str, str], among: set[tuple[str, str]]) -> bool:
    """Whether *duty* is *among* some, or what is withheld stands within something that is."""
    kind, about = duty
    return any(kind == other and f"{about}/".startswith(f"{wider}/") for other, wider in among)


def _fewer_asked(found: Disagreement) -> Direction:
    """Return whether the new set asks fewer people to agree, or more; some of both is neither."""
    asked, asks = _asks(found.old), _asks(found.new)
    less = any(asks.get(right, 0) < number for right, number in asked.items())
    more = any(asked.get(right, 0) < number for right, number in asks.items())
    if less == more:
        return "other"
    return "wider" if less else "narrower"


def _asks(verdict: Verdict) -> dict[str, int]:
    """Return how many people have to agree, by the right that they need."""
    asks: dict[str, int] = {}
    for reason in verdict.reasons:
        if verdict.outcome == "escalate" and reason.to is not None:
            asks[reason.to] = max(reason.approvals, asks.get(reason.to, 0))
    return asks


def compare(
    old: PolicySet, new: PolicySet, *, tests: Sequence[Path] = (), most: int = CASES_MAX
) -> Comparison:
    """Return what is different between *old* and *new*; *tests* are folders whose cases are begun with."""
    known = [case for folder in tests for case in known_cases(folder)]
    searched: list[Searched] = []
    for point in Point:
        found = _both_ways(old, new, point, known, most)
        searched += found
        known = [
            *known,
            *(case for one in found if one.found for case in elsewhere(one.found.case)),
        ]
    return Comparison(
        old,
        new,
        tuple(changes(old, new)),
        tuple(one for one in searched if one.cases),
    )


def _both_ways(
    old: PolicySet, new: PolicySet, point: Point, known: Sequence[Case], most: int
) -> list[Searched]:
    """Return what a search at *point* came to, and a case that goes the other way, where there is one, too."""
    searched = [search(old, new, point, known, most=most)]
    for way in ("wider", "narrower") if searched[0].found is not None else ():
        gone = {direction(one.found) for one in searched if one.found is not None}
        if way not in gone:

            def goes(one: Disagreement, way: str = way) -> bool:
                return direction(one) == way

            other = search(old, new, point, known, most=most, fits=goes)
            searched += [other] if other.found is not None else []
    return searched


def elsewhere(case: Case) -> list[Case]:
    """Return *case* at the other points that have its facts: what differs at one mostly differs there, too."""
    roots = set(ROOTS_AT[case.point])
    return [
        _moved(case, point)
        for point in Point
        if point is not case.point and set(ROOTS_AT[point]) <= roots
    ]


def _moved(case: Case, point: Point) -> Case:
    found = {name: case.roots[name] for name in ROOTS_AT[point] if name in case.roots}
    if "source" in ROOTS_AT[point] and point not in ABSENT_AT:
        found.setdefault("source", inputs.complete("source", {}, "source"))
    return Case(point, found, case.now)


def known_cases(folder: Path) -> list[Case]:
    """Return the cases of the tests in *folder*, one for each candidate; none where they cannot be read."""
    try:
        files = read_tests(folder, read_directory(folder))
    except PolicyError:
        return []
    found: list[Case] = []
    for case in (case for file in files for case in file.cases):
        for candidate in case.candidates:
            asked = case.asked(candidate)
            shared = {"packet": asked.packet, "source": asked.source, "principal": asked.principal}
            roots = {root: dict(facts) for root, facts in shared.items() if facts is not None}
            roots |= {root: dict(facts) for root, facts in asked.more.items()}
            member = {"member": candidate.facts} if candidate.facts else {}
            found.append(Case(asked.point, {**roots, **member}, asked.now))
    return found


# --- as facts and as a test -----------------------------------------------------------------


def shown_facts(case: Case) -> dict[str, Any]:
    """Return the facts of *case* that are not the plain ones, by root."""
    found: dict[str, Any] = {}
    for root, facts in case.roots.items():
        own = inputs.BEFORE_UPDATE if root == "before" and case.point is Point.UPDATE else root
        stated = inputs.differences(own, facts)
        if root == "principal":
            plain = inputs.complete(root, {"rights": ["operator"]}, "operator")
            stated = {name: value for name, value in facts.items() if plain.get(name) != value}
        if root == "before":
            stated = {n: value for n, value in stated.items() if n in CHANGED[inputs.base_of(own)]}
        if stated or root == "before":
            found[root] = stated
    if case.now != START:
        found["now"] = _moment(case.now)
    return found


def _moment(microseconds: int) -> str:
    return format_timestamp(Timestamp(microseconds * 1_000))


def as_test(found: Disagreement, name: str = "") -> str:
    """Return the case as a test in YAML that the new set passes and the old one fails."""
    case = found.case
    stated = shown_facts(case)
    title = name or f"{case.point.value}: {found.new.outcome} and not {found.old.outcome}"
    lines = [f"  - name: {json.dumps(title)}", f"    action: {case.point.value}"]
    if "now" in stated:
        lines.append(f"    now: {stated['now']}")
    roots = ROOTS_AT[case.point]
    for root in ("packet", "source", "principal"):
        if root == "packet" and root in roots and case.roots.get(root) is not None:
            lines.append(f"    packet: {{with: {_flow(stated.get('packet', {}))}, as: packet}}")
        elif root == "source" and root in roots and root not in ABSENT_AT.get(case.point, ()):
            lines.append(f"    source: {{with: {_flow(stated.get('source', {}))}, as: source}}")
        elif root in stated:
            lines.append(f"    {root}: {{with: {_flow(stated[root])}}}")
    lines += [
        f"    {root}: {{with: {_flow(stated[root])}}}"
        if root == "before"
        else f"    {root}: {_flow(stated[root])}"
        for root in MORE
        if root in stated
    ]
    if "member" in roots:
        lines.append(f"    members: [{{with: {_flow(stated.get('member', {}))}, as: member}}]")
        lines.append(f"    expect: {{member: {_expected(found)}}}")
    else:
        lines.append(f"    expect: {_expected(found)}")
    return "\n".join(lines)


def _expected(found: Disagreement) -> str:
    """Return what the new set says, in as many words as tell it from the old one."""
    old, new = found.old, found.new
    if old.outcome != new.outcome:
        return new.outcome
    said = [f"{new.outcome}: {_asking(new) if new.outcome == 'escalate' else 'true'}"]
    approvals = [max(r.approvals for r in v.reasons) for v in (old, new) if v.reasons]
    if new.outcome == "escalate" and len(set(approvals)) == 2:
        said.append(f"approvals: {approvals[1]}")
    owed = [sorted({str(one.type) for one in verdict.obligations}) for verdict in (old, new)]
    if owed[0] != owed[1]:
        said.append(f"obligations: {_flow(owed[1])}")
    return f"{{{', '.join(said)}}}"


def _asking(verdict: Verdict) -> str:
    return _flow(sorted(reason.name for reason in verdict.reasons))


def _flow(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
