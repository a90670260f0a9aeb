"""Rules that let a member pass on its own word: ``require: member.type == "human"``, where members say what they are.

Warnings of ``policy check``.  What a member says of itself may be what is wanted (a capability is a claim, and a false
one fails at work); a rule that keeps somebody out has to read something that another party vouches for.  A fact that
members set is vouched for where a rule of the same set asks who sets it: at ``register``, and at ``update_member`` if
it can change.  One operand of several is enough: ``"a" in member.clearances || member.type == "human"`` lets whoever
says that it is human pass.  The step of a packet is its owner's word, and a reason the one of who asks.
"""

from collections.abc import Iterator
from typing import Final

from pfgov.core.verdicts import Point
from pfgov.policy.cel import ir
from pfgov.policy.cel.types import Record
from pfgov.policy.files.labels import Declarations
from pfgov.policy.files.model import KERNEL
from pfgov.policy.judging.clauses import PlannedRule
from pfgov.policy.judging.judge import PolicySet
from pfgov.policy.problems import Problem
from pfgov.policy.provenance import setter

Path = tuple[str, ...]

AMONG: Final = (Point.ASSIGN, Point.HANDOFF, Point.ACCEPT, Point.RETAIN, Point.COMPLETE)
"""The points at which a member gets, keeps or ends something; at `register` what it says of itself is judged."""

_STEP: Final[Path] = ("packet", "step")
_OWNED: Final = frozenset({Point.RETAIN, Point.COMPLETE})
"""Where the owner is judged, whose word the packet's step is."""

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
            for reads in _ways(planned):
                path = _own_word(reads, point, policies.labels, vouched)
                if path is not None:
                    seen.add(planned.name)
                    yield _warning(planned, path)
                    break
    yield from _reasons(policies)


def _warning(planned: PlannedRule, path: Path) -> Problem:
    fact = ".".join(path)
    hint = f"read what others set (clearances, trust_score), or say at register who may set {fact}"
    if path == _STEP:
        hint = "read what others set: a label that a reviewer sets, packet.reviews"
    return planned.rule.place.problem(
        "policy.own_word",
        f"`{planned.rule.id}` takes a member's own word: {fact} is set by the member that is judged",
        hint,
        "warning",
    )


def _reasons(policies: PolicySet) -> Iterator[Problem]:
    """Yield a warning for each rule that somebody passes by the reason that it gives."""
    found: dict[str, Problem] = {}
    for judge in policies.judges.values():
        for planned in judge.rules:
            reads = {access.path[0] for access in planned.clause.paths}
            is_its_word = "reason" in reads and reads <= {"reason", "action", "now"}
            if planned.policy != KERNEL and planned.rule.kind == "require" and is_its_word:
                found[planned.name] = planned.rule.place.problem(
                    "policy.own_word",
                    f"`{planned.rule.id}` takes the word of who asks: whoever gives that reason passes",
                    "read what others set: principal.rights, principal.members",
                    "warning",
                )
    yield from found.values()


def _ways(planned: PlannedRule) -> Iterator[list[Path]]:
    """Yield the facts that each way to pass the rule reads: all of it, or one operand of several that is enough."""
    yield _facts_of(planned.clause.root)
    root = planned.condition.root if planned.condition is not None else None
    while isinstance(root, ir.Named):
        root = root.expression.root
    enough = {"require": "any", "deny": "all"}.get(planned.rule.kind)
    if isinstance(root, ir.Logic) and root.kind == enough:
        yield from (_facts_of(operand) for operand in root.operands)


def _facts_of(node: ir.Node) -> list[Path]:
    found: list[Path] = []
    waiting = [node]
    while waiting:
        part = waiting.pop()
        path = _read(part)
        if path is not None and len(path) > 1:
            found.append(_fact(path))
        elif isinstance(part, ir.Named):
            waiting.append(part.expression.root)
        else:
            waiting += ir.children(part)
    return found


def _read(node: ir.Node) -> Path | None:
    """Return the path of the fact that *node* reads or asks for: ``has(a.b)``, ``a.?b``, ``"b" in a.labels``."""
    match node:
        case ir.Has(operand=operand, name=name):
            prefix, last = ir.path_of(operand), name
        case ir.OptionalAccess(operand=operand, key=ir.Const(value=str(last))):
            prefix = ir.path_of(operand)
        case ir.Call(function=function, arguments=(ir.Const(value=str(last)), operand)) if (
            function.name == "@in" and isinstance(operand.type, Record)
        ):
            prefix = ir.path_of(operand)
        case _:
            return ir.path_of(node)
    return None if prefix is None else (*prefix, last)


def _own_word(
    reads: list[Path], point: Point, labels: Declarations, vouched: frozenset[Path]
) -> Path | None:
    """Return a fact on which *reads* rest, if all that they say of the member is its own word, and they ask nobody."""
    if any(path[0] == "principal" for path in reads):
        return None
    own = [path for path in reads if path[0] == "member"]
    if any(not is_own(path, labels) or path in vouched for path in own):
        return None
    if point in _OWNED:
        own += [path for path in reads if path == _STEP]
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
