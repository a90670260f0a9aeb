"""Small mistakes in an expression: each gives the same tree with one thing in it different.

Comparisons and their boundaries, ``&&`` and ``||``, a clause that is gone, a negation that is gone, a number next to
the right one, an item that is missing from a list, ``all`` for ``exists``, and a fact that stands beside the one that
is meant and has the same type.  This module knows syntax and the types of facts; it compiles nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, NamedTuple

from pfgov.policy.cel.syntax import (
    And,
    Ast,
    Binary,
    Bind,
    Call,
    Fold,
    FoldKind,
    Has,
    Ident,
    Index,
    ListLiteral,
    Literal_,
    Node,
    OptMap,
    Or,
    Select,
    Ternary,
    Unary,
)
from pfgov.policy.cel.types import CelType, NumberType, Record, StringType
from pfgov.policy.cel.unparse import unparse
from pfgov.policy.facts import ROOTS

_OTHER: Final = {
    ">=": (">", "<"), ">": (">=", "<="), "<=": ("<", ">"), "<": ("<=", ">="), "==": ("!=",), "!=": ("==",),
    "+": ("-",), "-": ("+",), "*": ("/",), "/": ("*",), "%": ("*",),
}  # fmt: skip
"""What stands for an operator by mistake."""

_FOLDS: Final[dict[FoldKind, FoldKind]] = {"all": "exists", "exists": "all"}


class Mutation(NamedTuple):
    """A mistake: where it begins in the text (1-based), what it is, and the text with it."""

    line: int
    column: int
    said: str
    text: str


def mutations(ast: Ast) -> list[Mutation]:
    """Return every mistake in *ast*, each once, in the order of the text."""
    found: dict[str, Mutation] = {}
    for node, said, root in _walk(ast.root, lambda new: new):
        text = unparse(root)
        if text != unparse(ast):
            found.setdefault(text, Mutation(node.line, node.column, said, text))
    return sorted(found.values())


_Rebuild = Callable[[Node], Node]


def _walk(node: Node, rebuild: _Rebuild) -> Iterator[tuple[Node, str, Node]]:
    """Yield (where, what, whole tree) for each mistake at *node* and below; *rebuild* puts a node in its place."""
    for said, new in _here(node):
        yield node, said, rebuild(new)
    for child, put in _children(node):
        yield from _walk(child, _chained(put, rebuild))


def _chained(inner: _Rebuild, outer: _Rebuild) -> _Rebuild:
    return lambda new: outer(inner(new))


def _here(node: Node) -> Iterator[tuple[str, Node]]:
    match node:
        case And(operands=operands) | Or(operands=operands):
            is_and = isinstance(node, And)
            other = (Or if is_and else And)(node.span, operands)
            yield ("|| for &&" if is_and else "&& for ||"), other
            for at, gone in enumerate(operands):
                left = (*operands[:at], *operands[at + 1 :])
                made = left[0] if len(left) == 1 else replace(node, operands=left)
                yield f"without {unparse(gone)}", made
        case Unary(operator="!", operand=operand):
            yield f"without ! before {unparse(operand)}", operand
        case Binary(operator=operator):
            for other_operator in _OTHER.get(operator, ()):
                yield f"{other_operator} for {operator}", replace(node, operator=other_operator)
            if operator == "in":
                yield "not in for in", Unary(node.span, "!", node)
        case Ternary(then=then, otherwise=otherwise):
            yield "branches exchanged", replace(node, then=otherwise, otherwise=then)
        case Fold(kind=kind) if kind in _FOLDS:
            yield f"{_FOLDS[kind]} for {kind}", replace(node, kind=_FOLDS[kind])
        case ListLiteral():
            yield from _shorter(node)
        case Literal_(value=value):
            for other_value in neighbours(value):
                yield f"{other_value} for {value!r}", replace(node, value=other_value)
        case Select(name=name):
            for sibling in _siblings(node):
                yield f"{sibling} for {name}", replace(node, name=sibling)
        case _:
            return


def _shorter(node: ListLiteral) -> Iterator[tuple[str, Node]]:
    for at, gone in enumerate(node.items if len(node.items) > 1 else ()):
        items = (*node.items[:at], *node.items[at + 1 :])
        optional = (*node.optional[:at], *node.optional[at + 1 :])
        yield f"without {unparse(gone)}", replace(node, items=items, optional=optional)


def neighbours(value: object) -> list[bool | int | float]:
    """Return the constants next to *value*: one more and one less in its last place, or the other truth value."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        digits = len(repr(value).partition(".")[2]) if "e" not in repr(value) else 2
        step = 10.0 ** -max(digits, 2)
        return [round(value + step, digits + 2), round(value - step, digits + 2)]
    return []


def _siblings(node: Select) -> list[str]:
    """Return one field that stands beside the one that *node* reads and has the same type, if there is any."""
    steps: list[str] = [node.name]
    operand: Node = node.operand
    while isinstance(operand, Select):
        steps.append(operand.name)
        operand = operand.operand
    if not isinstance(operand, Ident) or operand.name not in ROOTS:
        return []
    kind: CelType | None = ROOTS[operand.name].type
    for step in reversed(steps[1:]):
        known = kind.fields.get(step) if isinstance(kind, Record) else None
        kind = known.type if known is not None else None
    if not isinstance(kind, Record) or node.name not in kind.fields:
        return []
    own = kind.fields[node.name].type
    like = [
        name for name, one in kind.fields.items() if name != node.name and _alike(one.type, own)
    ]
    return like[:1]


def _alike(one: CelType, other: CelType) -> bool:
    if isinstance(one, NumberType) and isinstance(other, NumberType):
        return (one.name, one.maximum) == (other.name, other.maximum)
    if isinstance(one, StringType) and isinstance(other, StringType):
        return one.allowed == other.allowed
    return one == other


def _children(node: Node) -> Iterator[tuple[Node, _Rebuild]]:
    """Yield each child with what puts another node in its place."""
    match node:
        case And(operands=operands) | Or(operands=operands):
            for at, child in enumerate(operands):
                yield child, _in_tuple(node, "operands", operands, at)
        case Call(arguments=arguments, target=target):
            if target is not None:
                yield target, _in_field(node, "target")
            for at, child in enumerate(arguments):
                yield child, _in_tuple(node, "arguments", arguments, at)
        case ListLiteral(items=items):
            for at, child in enumerate(items):
                yield child, _in_tuple(node, "items", items, at)
        case (
            Fold() | OptMap() | Bind() | Ternary() | Binary() | Unary() | Index() | Select() | Has()
        ):
            for name in _PARTS[type(node)]:
                child = getattr(node, name)
                if child is not None:
                    yield child, _in_field(node, name)
        case _:
            return


_PARTS: Final[dict[type[Node], tuple[str, ...]]] = {
    Fold: ("target", "condition", "result"),
    OptMap: ("target", "result"),
    Bind: ("value", "result"),
    Ternary: ("condition", "then", "otherwise"),
    Binary: ("left", "right"),
    Unary: ("operand",),
    Index: ("operand", "key"),
    Select: (),
    Has: (),
}


def _in_field(node: Node, name: str) -> _Rebuild:
    def put(new: Node) -> Node:
        changed: dict[str, Any] = {name: new}
        return replace(node, **changed)

    return put


def _in_tuple(node: Node, name: str, parts: tuple[Node, ...], at: int) -> _Rebuild:
    def put(new: Node) -> Node:
        changed: dict[str, Any] = {name: (*parts[:at], new, *parts[at + 1 :])}
        return replace(node, **changed)

    return put
