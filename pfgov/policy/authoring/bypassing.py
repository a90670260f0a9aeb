"""Rules that another door goes past: asked when something comes in, about what may be changed afterwards unasked.

``on: [register]`` with ``deny: "approver" in member.clearances`` says who joins with that clearance, and nothing about
who is given it later.  Warnings of ``policy check``.  A rule that is asked again where work is given, or beside which a
rule at the point of the change reads the same fact, is no such rule.
"""

from collections.abc import Iterator
from typing import Final

from pfgov.core.verdicts import Point
from pfgov.policy.files.model import KERNEL
from pfgov.policy.judging.clauses import PlannedRule
from pfgov.policy.judging.judge import PolicySet
from pfgov.policy.problems import Problem

Path = tuple[str, ...]

_LATER: Final = {
    Point.REGISTER: (Point.UPDATE_MEMBER, "member"),
    Point.SUBMIT: (Point.UPDATE, "packet"),
}
"""The point at which something comes in -> the one at which it is changed, and what."""

_CHANGING: Final = {
    "member": frozenset(
        {"capabilities", "capability_versions", "clearances", "region", "labels", "capacity"}
    ),
    "packet": frozenset(
        {
            "priority",
            "labels",
            "data_classes",
            "required_capabilities",
            "policy_constraints",
            "handoff",
        }
    ),
}
"""Facts that a change may give another value; the others stay, or are not the changer's."""


def bypassed(policies: PolicySet) -> Iterator[Problem]:
    """Yield a warning for each rule, but the kernel's, that a later change goes past."""
    for point, (later, root) in _LATER.items():
        asked = {
            path
            for planned in policies.judges[later].rules
            if not planned.shadow
            for path in _read(planned, root)
        }
        for planned in policies.judges[point].rules:
            if planned.policy == KERNEL or len(planned.rule.on) > 1:
                continue  # asked elsewhere, too: its author has thought of it
            for path in _read(planned, root):
                if path not in asked and _changes(policies, path):
                    yield _warning(planned, point, later, path)
                    break


def _changes(policies: PolicySet, path: Path) -> bool:
    root, fact, *rest = path
    if fact == "labels" and rest:
        owner = policies.labels.packet if root == "packet" else policies.labels.member
        declared = owner.get(rest[0])
        return declared is None or declared.change != "never"
    return fact in _CHANGING[root]


def _read(planned: PlannedRule, root: str) -> list[Path]:
    """Return the facts of *root* that a rule reads, and not only asks whether they are there."""
    paths = [a.path for a in planned.clause.paths if a.path[0] == root and not a.guarded]
    return sorted(
        {path[:3] if path[1:2] == ("labels",) else path[:2] for path in paths if path[1:]}
    )


def _warning(planned: PlannedRule, point: Point, later: Point, path: Path) -> Problem:
    fact = ".".join(path)
    return planned.rule.place.problem(
        "policy.later_change",
        f"`{planned.rule.id}` is asked at {point.value} alone, and {fact} may be changed later without being asked",
        f"let it be asked there, too: on: [{point.value}, {later.value}]",
        "warning",
    )
