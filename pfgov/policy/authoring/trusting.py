"""Rules that let a member pass on its own word: ``require: member.type == "human"``, where members say what they are.

Warnings of ``policy check``.  What a member says of itself may be what is wanted (a capability is a claim, and a false
one fails at work); a rule that keeps somebody out has to read something that another party vouches for.  A fact that
members set is vouched for where a rule of the same set asks who sets it: at ``register``, and at ``update_member`` if
it can change.
"""

from collections.abc import Iterator
from typing import Final

from pfgov.core.verdicts import Point
from pfgov.policy.files.labels import Declarations
from pfgov.policy.files.model import KERNEL
from pfgov.policy.judging.clauses import PlannedRule
from pfgov.policy.judging.judge import PolicySet
from pfgov.policy.problems import Problem
from pfgov.policy.provenance import setter

Path = tuple[str, ...]

AMONG: Final = (Point.ASSIGN, Point.HANDOFF, Point.ACCEPT, Point.RETAIN)
"""The points at which a member gets or keeps something.  At `register` what it says of itself is what is judged."""

_BY_DESIGN: Final = frozenset({"capabilities", "capability_versions", "capacity", "load"})
"""What only a member knows of itself: what it can do, what it offers and how busy it is."""


def trusting(policies: PolicySet) -> Iterator[Problem]:
    """Yield a warning for each rule, but the kernel's, that a member passes on its word alone."""
    vouched = _vouched(policies)
    seen: set[str] = set()
    for point in AMONG:
        for planned in policies.judges[point].rules:
            if planned.policy == KERNEL or planned.name in seen:
                continue
            path = _own_word(planned, policies.labels, vouched)
            if path is not None:
                seen.add(planned.name)
                fact = ".".join(path)
                yield planned.rule.place.problem(
                    "policy.own_word",
                    f"`{planned.rule.id}` takes a member's own word: {fact} is set by the member that is judged",
                    f"read what others set (clearances, trust_score), or say at register who may set {fact}",
                    "warning",
                )


def _own_word(planned: PlannedRule, labels: Declarations, vouched: frozenset[Path]) -> Path | None:
    """Return a fact on which the rule rests, if all that it reads of the member is its own word, and it asks nobody."""
    reads = [_fact(access.path) for access in planned.clause.paths]
    if any(path[0] == "principal" for path in reads):
        return None
    own = [path for path in reads if path[0] == "member"]
    if not own or any(not is_own(path, labels) or path in vouched for path in own):
        return None
    return next((path for path in own if path[1] not in _BY_DESIGN), None)


def is_own(path: Path, labels: Declarations) -> bool:
    """Whether the member sets the fact *path* of itself."""
    who = setter(path)
    if who == "labels":
        declared = labels.of("member").get(path[2]) if len(path) > 2 else None
        return declared is None or "member" in declared.set_by
    return who == "member"


def _vouched(policies: PolicySet) -> frozenset[Path]:
    """Return the facts of members about which a rule asks who sets them."""
    at_register = _asked(policies, Point.REGISTER)
    for_good = {path for path in at_register if path[1] == "type"}  # it never changes afterwards
    return frozenset(for_good | (at_register & _asked(policies, Point.UPDATE_MEMBER)))


def _asked(policies: PolicySet, point: Point) -> set[Path]:
    found: set[Path] = set()
    for planned in policies.judges[point].rules:
        paths = [_fact(access.path) for access in planned.clause.paths]
        if any(path[0] == "principal" for path in paths):
            found |= {path for path in paths if path[0] == "member"}
    return found


def _fact(path: Path) -> Path:
    """Return the fact that *path* reads into: a label is one, an item of a list is none."""
    return path[:3] if path[1:2] == ("labels",) else path[:2]
