"""What would have to be different: the nearest miss of a refused candidate, checked by judging again.

For each rule that failed, the comparison that decided it says which fact of the member would have to
have which value.  These changes are made on a copy of the member and the set is asked again; only if
nothing denies then is anything claimed.  What the packet demands is never changed, and neither is
the last owner.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from pfgov.core.nearness import ITEM, OTHER, gap
from pfgov.core.policy_port import Question
from pfgov.core.verdicts import Verdict
from pfgov.limits import MICRO
from pfgov.policy.authoring import inputs
from pfgov.policy.cel import Checked, Failure, ir
from pfgov.policy.judging.deciding import Focus, Here
from pfgov.policy.judging.functions import split_requirement
from pfgov.policy.judging.judge import PolicySet
from pfgov.policy.judging.messages import ABSENT, show
from pfgov.policy.judging.reasons import Explainer

Facts = dict[str, object]

_ROUNDS: Final = 4
_FLIPPED: Final = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}
_NEGATED: Final = {"_<_": "_>=_", "_<=_": "_>_", "_>_": "_<=_", "_>=_": "_<_", "_==_": "_!=_"}


@dataclass(frozen=True, slots=True)
class Change:
    """One fact of the member that would have to be different.

    Attributes:
        path: The fact, without its root: ``("trust_score",)``.
        value: What would do.
        has: What it is, as text.
        needs: What it would have to be, as text.
        distance: How far that is away (:mod:`pfgov.core.nearness`).
    """

    path: tuple[str, ...]
    value: object
    has: str
    needs: str
    distance: int = OTHER

    @property
    def sentence(self) -> str:
        """``trust_score 0.9; has 0.87``."""
        return f"{'.'.join(self.path)} {self.needs}; has {self.has}"


def nearest_miss(
    policies: PolicySet, question: Question, member: Mapping[str, object]
) -> tuple[Change, ...] | None:
    """Return the changes of the member's facts with which nothing would deny it.

    The empty tuple means that nothing does; None that no such changes were found.  An escalation may
    remain: what a person must agree to, no fact can replace.
    """
    facts: Facts = dict(member)
    changes: dict[tuple[str, ...], Change] = {}
    for _ in range(_ROUNDS):
        verdict = policies.judge_one(question, facts)
        if verdict.outcome != "deny":
            return tuple(changes.values())
        step = _step(policies, question, facts, verdict)
        if not step:
            return None
        for change in step:
            first = changes.get(change.path)
            has = first.has if first else change.has
            distance = distance_to(_held(member, change.path), change.value)
            changes[change.path] = Change(change.path, change.value, has, change.needs, distance)
            facts = inputs.vary(facts, _nested(change.path, change.value))
    return None


def _held(member: Mapping[str, object], path: tuple[str, ...]) -> object:
    facts: Mapping[str, object] = member
    for step in path[:-1]:
        inner = facts.get(step)
        facts = cast("Facts", inner) if isinstance(inner, dict) else {}
    return facts.get(path[-1])


def distance_to(held: object, target: object) -> int:
    """Return how far *held*, a fact or None, is from *target*."""
    if isinstance(held, bool) or isinstance(target, bool):
        return OTHER
    if isinstance(held, int | float) and isinstance(target, int | float):
        return gap(held, target)
    if isinstance(held, list | dict) and isinstance(target, list | dict):
        return ITEM * max(1, len(cast("list[object]", target)) - len(cast("list[object]", held)))
    return OTHER


def _nested(path: tuple[str, ...], value: object) -> Facts:
    made: object = value
    for step in reversed(path):
        made = {step: made}
    return cast("Facts", made)


def _step(policies: PolicySet, question: Question, facts: Facts, verdict: Verdict) -> list[Change]:
    judge = policies.judges[question.point]
    values = policies.values(question, facts)
    names = {reason.name for reason in verdict.reasons if reason.effect == "deny"}
    found: list[Change] = []
    for planned in judge.rules:
        if planned.name not in names or planned.shadow:
            continue
        explainer = Explainer(planned)
        change = _change(explainer, explainer.focus(values), values)
        if change is None and planned.condition is not None:
            wanted = planned.rule.kind == "require"
            change = _for_missing(explainer, planned.condition, values, wanted=wanted)
        if change is None:
            return []
        found.append(change)
    return found


def _change(
    explainer: Explainer, focus: Focus | None, values: Mapping[str, object]
) -> Change | None:
    if focus is None:
        return None
    node = focus.node
    if isinstance(node, ir.Fold):
        return _items(explainer, focus, node, values)
    if isinstance(node, ir.Call) and len(node.arguments) == 2:
        return _sides(explainer, focus, node, values)
    return None


def _sides(
    explainer: Explainer, focus: Focus, node: ir.Call, values: Mapping[str, object]
) -> Change | None:
    left, right = node.arguments
    operator = node.function.name
    if _member_path(left) is None and _member_path(right) is not None and operator != "@in":
        left, right = right, left
        operator = _FLIPPED.get(operator, operator)
    path = _member_path(left)
    if path is None:
        return None
    if not focus.wanted:
        operator = _NEGATED.get(operator, "")
    bound = explainer.value(focus.here, right, values)
    has = explainer.value(focus.here, left, values)
    target = _target(operator, bound)
    if target is None or type(bound) is Failure:
        return None
    shown = ABSENT if type(has) is Failure else show(has)
    return Change(path, target, shown, _needs(operator, target, bound))


def _target(operator: str, bound: object) -> object:
    """Return the nearest value that satisfies ``value operator bound``, or None."""
    tiny = 1 / MICRO if type(bound) is float else 1
    if operator in {"@in", "region_within"} and type(bound) is list:
        return next((item for item in cast("list[object]", bound) if type(item) is str), None)
    match operator, bound:
        case (("_>=_" | "_<=_" | "_==_"), (int() | float() | str())):
            return bound
        case "_>_", int() | float():
            return bound + tiny
        case "_<_", int() | float():
            return bound - tiny
        case _:
            return None


def _needs(operator: str, target: object, bound: object) -> str:
    match operator:
        case "@in":
            return f"one of {show(bound)}"
        case "region_within":
            return f"within {show(bound)}"
        case _:
            return show(target)


def _items(
    explainer: Explainer, focus: Focus, node: ir.Fold, values: Mapping[str, object]
) -> Change | None:
    """``all(c, c in member.clearances)``: the member would have to have the items it lacks."""
    part = focus.part
    path = _member_path(part) if part is not None else None
    found: object = focus.items
    if type(found) is not list or part is None or path is None:
        return None
    if node.kind != "all" or not focus.wanted:
        return None
    items = cast("list[object]", found)
    has = explainer.value(focus.here, part, values)
    if type(has) is list:
        held = cast("list[object]", has)
        return Change(path, [*held, *items], show(held), f"with {show(items)}")
    if path == ("capability_versions",) and type(has) is dict:
        added = {n: v for n, v in (_offer(item) for item in items) if n}
        merged = {**cast("Facts", has), **added}
        return Change(path, merged, show(list(cast("Facts", has))), f"with {show(items)}")
    return None


def _offer(requirement: object) -> tuple[str, str]:
    """Return a capability, with a version, that meets a requirement."""
    try:
        name, bounds = split_requirement(cast("str", requirement))
        if bounds is None:
            return name, ""
        specifiers = SpecifierSet(bounds)
        named = sorted(Version(specifier.version.rstrip(".*")) for specifier in specifiers)
        beyond = [Version(f"{version.major + 1}") for version in named]
        fitting = [v for v in [*named, *beyond] if specifiers.contains(v, prereleases=True)]
        return (name, str(fitting[0])) if fitting else ("", "")
    except (ValueError, TypeError, InvalidVersion):
        return "", ""


def _for_missing(
    explainer: Explainer, condition: Checked, values: Mapping[str, object], *, wanted: bool
) -> Change | None:
    """An absent fact: look for the comparison that asked for it."""
    stack: list[tuple[Here, ir.Node]] = [(Here(condition), condition.root)]
    while stack:
        here, node = stack.pop()
        if isinstance(node, ir.Named):
            stack.append((Here(node.expression), node.expression.root))
        if isinstance(node, ir.Call) and len(node.arguments) == 2:
            focus = Focus(here, node, None, None, wanted)
            change = _sides(explainer, focus, node, values)
            if change is not None and change.has == ABSENT:
                return change
        stack.extend((here, child) for child in ir.children(node))
    return None


def _member_path(node: ir.Node) -> tuple[str, ...] | None:
    path = ir.path_of(node)
    return path[1:] if path is not None and path[0] == "member" and len(path) > 1 else None
