"""Conditions that cannot matter: always true, never true, or equal to nothing possible.

A rule that never fires is a mistake that no test of the rule finds, so it is refused at
load.  Only what the types prove is reported: a value outside a field's declared set or
range, comparisons of one path that contradict each other, conditions without any fact.
A declared constant (``params.x``) counts as a fact here: it is meant to be changed.
"""

import math
from collections.abc import Sequence
from typing import Final

from pfgov.policy.cel import ir
from pfgov.policy.cel.hints import did_you_mean
from pfgov.policy.cel.library import Function
from pfgov.policy.cel.types import ListType, NumberType, StringType

Finding = tuple[str, str | None]
"""A message, and perhaps a hint."""

_BEYOND: Final = 1e12
"""An upper bound from here on is one of the format, and says nothing to an author."""

FLIPPED: Final = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}
SIGNS: Final = {"_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">=", "_==_": "==", "_!=_": "!="}


def condition_problem(root: ir.Node) -> Finding | None:
    """Why the condition *root* is constant, or None."""
    if not reads_facts(root):
        return "the condition reads no fact: it is always the same", "compare a fact"
    return _decided(root)


def reads_facts(root: ir.Node) -> bool:
    """Whether the value of *root* can depend on a fact or a declared constant."""
    stack = [root]
    while stack:
        node = stack.pop()
        match node:
            case ir.Var():
                return True
            case ir.Const(label=label) if label is not None:
                return True
            case ir.Named(expression=expression):
                stack.append(expression.root)
            case _:
                stack.extend(ir.children(node))
    return False


def _decided(node: ir.Node) -> Finding | None:
    match node:
        case ir.Logic(kind=kind, operands=operands):
            return _decided_logic(kind, operands)
        case ir.Call(function=Function(name="!_"), arguments=(operand,)):
            return _decided(operand)
        case ir.Call():
            return _outside_range(node)
        case _:
            return None


def _decided_logic(kind: str, operands: Sequence[ir.Node]) -> Finding | None:
    deciding = kind == "any"
    for operand in operands:
        if isinstance(operand, ir.Const) and operand.label is None and operand.value is deciding:
            return (
                f"always {str(deciding).lower()}, because one operand is",
                "leave that operand out",
            )
        found = _decided(operand)
        if found is not None:
            return found
    if kind == "all":
        return _contradiction(operands)
    return _tautology(operands)


# --- ranges ---------------------------------------------------------------------------------


def comparison(node: ir.Node) -> tuple[str, tuple[str, ...], ir.Node, object] | None:
    """(operator, path, the node of the path, constant) of a comparison with a constant."""
    if not isinstance(node, ir.Call) or node.function.name not in SIGNS:
        return None
    left, right = node.arguments
    operator = node.function.name
    if isinstance(left, ir.Const) and left.label is None:
        left, right = right, left
        operator = FLIPPED.get(operator, operator)
    path = ir.path_of(left)
    if path is None or not isinstance(right, ir.Const) or right.label is not None:
        return None
    return operator, path, left, right.value


def _outside_range(node: ir.Node) -> Finding | None:
    found = comparison(node)
    if found is None:
        return None
    operator, path, fact, value = found
    type_ = fact.type
    if not isinstance(type_, NumberType) or type(value) not in (int, float):
        return None
    low = -math.inf if type_.minimum is None else type_.minimum
    high = math.inf if type_.maximum is None else type_.maximum
    if low == -math.inf and high == math.inf:
        return None
    number = float(value)  # type: ignore[arg-type]
    truth = always(operator, low, high, number)
    if truth is None:
        return None
    shown = f"{'.'.join(path)} {SIGNS[operator]} {value}"
    verdict = "always" if truth else "never"
    hint = f"{path[-1]} is between {low:g} and {high:g}"
    if high >= _BEYOND:
        hint = f"{path[-1]} is {low:g} or more"
    return f"`{shown}` is {verdict} true", hint


def always(operator: str, low: float, high: float, value: float) -> bool | None:
    """True or False when the comparison with anything in [low, high] is; else None."""
    match operator:
        case "_<_":
            return True if high < value else False if low >= value else None
        case "_<=_":
            return True if high <= value else False if low > value else None
        case "_>_":
            return True if low > value else False if high <= value else None
        case "_>=_":
            return True if low >= value else False if high < value else None
        case "_==_":
            return False if value < low or value > high else None
        case _:
            return True if value < low or value > high else None


def _claims(operands: Sequence[ir.Node]) -> dict[str, list[tuple[str, object]]]:
    """Return what comparisons with constants say of each fact, or of each call on facts."""
    found: dict[str, list[tuple[str, object]]] = {}
    for operand in operands:
        if not isinstance(operand, ir.Call) or operand.function.name not in SIGNS:
            continue
        left, right = operand.arguments
        operator = operand.function.name
        if isinstance(left, ir.Const) and left.label is None:
            left, right = right, left
            operator = FLIPPED.get(operator, operator)
        term = _term(left)
        if term is not None and isinstance(right, ir.Const) and right.label is None:
            found.setdefault(term, []).append((operator, right.value))
    return found


def _term(node: ir.Node) -> str | None:
    """Return how a fact, or a call on facts and constants, is written; None for anything else."""
    path = ir.path_of(node)
    if path is not None:
        return ".".join(path)
    if not isinstance(node, ir.Call) or not node.function.name.isidentifier():
        return None
    parts = [
        repr(part.value) if isinstance(part, ir.Const) and part.label is None else _term(part)
        for part in node.arguments
    ]
    if not parts or any(part is None for part in parts):
        return None
    first, *others = map(str, parts)
    if node.function.is_member:
        return f"{first}.{node.function.name}({', '.join(others)})"
    return f"{node.function.name}({', '.join([first, *others])})"


def _contradiction(operands: Sequence[ir.Node]) -> Finding | None:
    """Two comparisons of one fact that cannot both hold."""
    for term, claims in _claims(operands).items():
        if _empty(claims):
            hint = None
            if any(op in _ABOVE for op, _ in claims) and any(op in _BELOW for op, _ in claims):
                hint = "a range that goes over the end is two halves: write || between them"
            return f"never true: `{_shown(term, claims, '&&')}` contradicts itself", hint
    return None


def _tautology(operands: Sequence[ir.Node]) -> Finding | None:
    """Two comparisons of one fact of which one always holds: ``x != 'a' || x != 'b'``."""
    for term, claims in _claims(operands).items():
        if _empty([(_NEGATED[operator], value) for operator, value in claims]):
            return f"always true: `{_shown(term, claims, '||')}`", "write && between them"
    return None


_ABOVE: Final = frozenset({"_>_", "_>=_"})
_BELOW: Final = frozenset({"_<_", "_<=_"})
_NEGATED: Final = {
    "_<_": "_>=_",
    "_<=_": "_>_",
    "_>_": "_<=_",
    "_>=_": "_<_",
    "_==_": "_!=_",
    "_!=_": "_==_",
}


def _shown(term: str, claims: Sequence[tuple[str, object]], sign: str) -> str:
    return f" {sign} ".join(f"{term} {SIGNS[operator]} {value!r}" for operator, value in claims)


def _empty(claims: Sequence[tuple[str, object]]) -> bool:
    equals = [value for operator, value in claims if operator == "_==_"]
    if len({(type(value), value) for value in equals if isinstance(value, (str, int))}) > 1:
        return True
    low = high = None
    for operator, value in claims:
        if type(value) not in (int, float):
            return False
        number = float(value)  # type: ignore[arg-type]
        if operator in ("_>_", "_>=_", "_==_"):
            bound = (number, operator == "_>_")
            low = bound if low is None else max(low, bound)
        if operator in ("_<_", "_<=_", "_==_"):
            bound = (number, operator != "_<_")
            high = bound if high is None else min(high, bound)
    if low is None or high is None:
        return False
    return low[0] > high[0] or (low[0] == high[0] and (low[1] or not high[1]))


# --- values that a fact never takes ---------------------------------------------------------


def never_taken(function: Function, arguments: Sequence[ir.Node]) -> Finding | None:
    """A constant compared with a string fact whose declared values do not include it."""
    if function.name in ("_==_", "_!=_"):
        left, right = arguments
        return _unlisted(left, [right]) or _unlisted(right, [left])
    if function.name == "@in":
        needle, container = arguments
        if isinstance(container, ir.MakeList):
            return _unlisted(needle, container.items)
        if isinstance(container.type, ListType):
            return _unlisted_type(container.type.elem, [needle], ir.path_of(container))
    return None


def _unlisted(fact: ir.Node, values: Sequence[ir.Node]) -> Finding | None:
    return _unlisted_type(fact.type, values, ir.path_of(fact))


def _unlisted_type(
    type_: object, values: Sequence[ir.Node], path: tuple[str, ...] | None
) -> Finding | None:
    if not isinstance(type_, StringType) or type_.allowed is None:
        return None
    for value in values:
        if isinstance(value, ir.Const) and type(value.value) is str:
            if value.value in type_.allowed:
                continue
            name = ".".join(path) if path else "it"
            hint = did_you_mean(value.value, type_.allowed)
            if hint is None and len(type_.allowed) <= 12:
                hint = f"one of {', '.join(sorted(type_.allowed))}"
            return f"{name} is never {value.value!r}", hint
    return None
