"""What a compiled rule says, as one text that two rules share exactly when they mean the same by construction.

Names that only an author sees are gone: constants stand in the place of params and definitions, expressions in that of
variables, and a policy's or a rule's own name is not in it.  So a rename, or a constant that became a param, is no
difference here.  Texts that differ may still mean the same: that is for the search (:mod:`.search`).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Final, cast

from pfgov.core.verdicts import Point
from pfgov.policy.cel import Checked, ir
from pfgov.policy.cel.library import Function
from pfgov.policy.cel.syntax import Span
from pfgov.policy.cel.types import CelType
from pfgov.policy.judging.clauses import PlannedRule
from pfgov.policy.judging.judge import PolicySet

_SKIPPED: Final = frozenset({"span", "type", "label", "slot", "maybe_absent"})


def expression(checked: Checked | None) -> str:
    """Return what *checked* says, with every name of an author resolved."""
    return "" if checked is None else "".join(_written(checked.root))


def _written(node: object) -> Iterator[str]:
    if isinstance(node, ir.Named):
        yield from _written(node.expression.root)
    elif isinstance(node, ir.Local):
        yield f"${node.slot}"
    elif isinstance(node, Function):
        yield node.name
    elif isinstance(node, tuple):
        yield "("
        for part in cast("tuple[object, ...]", node):
            yield from _written(part)
            yield ","
        yield ")"
    elif is_dataclass(node) and not isinstance(node, Span | CelType):
        yield f"{type(node).__name__}("
        for one in fields(node):
            if one.name not in _SKIPPED:
                yield from _written(getattr(node, one.name))
                yield ","
        yield ")"
    else:
        yield f"{type(node).__name__}:{node!r}"


def effect(planned: PlannedRule) -> str:
    """Return what *planned* does to a decision, its message left out."""
    rule = planned.rule
    return "\x1f".join(
        (
            rule.kind,
            "shadow" if planned.shadow else "enforce",
            expression(planned.when),
            expression(planned.condition),
            repr((rule.to, rule.expires, rule.approvals) if rule.kind == "escalate" else ()),
            repr(rule.obligations),
        )
    )


def at(policies: PolicySet, point: Point) -> Counter[str]:
    """Return how often each rule, by what it says, is in force at *point*."""
    return Counter(effect(planned) for planned in policies.judges[point].rules)


def only_in(policies: PolicySet, other: PolicySet, point: Point) -> list[PlannedRule]:
    """Return the rules of *policies* at *point* of which *other* has no like."""
    left, found = at(other, point), list[PlannedRule]()
    for planned in policies.judges[point].rules:
        key = effect(planned)
        if left[key]:
            left[key] -= 1
        else:
            found.append(planned)
    return found


def is_same_at(old: PolicySet, new: PolicySet, point: Point) -> bool:
    """Whether nothing at *point* is said differently: the rules, who covers it, and what labels are."""
    return (
        at(old, point) == at(new, point)
        and (point in old.points) == (point in new.points)
        and old.bundle.labels == new.bundle.labels
    )
