"""What an expression can come to, whatever the facts: constants folded, and the outcomes that are left.

The exact evaluator folds: a part that reads nothing but what is *given* is run once, so that no second
meaning of CEL stands here.  Everything else is taken to come to anything, except where an operand
that always fails, a logical operator or an operand that is decided says more.  For authors' tools
only: nothing that takes a decision asks this module.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pfgov.policy.cel import ir
from pfgov.policy.cel.check_calls import ZONED
from pfgov.policy.cel.errors import Failure
from pfgov.policy.cel.exact import value_of
from pfgov.policy.cel.library import STANDARD
from pfgov.policy.cel.types import NumberType
from pfgov.policy.cel.values import Timestamp, Uint

NEVER: Final = object()
"""Stands for a root that is never there."""

UNKNOWN: Final = object()
"""Stands for a value that depends on facts."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Which outcomes a condition can have."""

    true: bool
    false: bool
    fails: bool

    def __or__(self, other: "Reach") -> "Reach":
        """Return what either can come to."""
        return Reach(self.true or other.true, self.false or other.false, self.fails or other.fails)

    def __invert__(self) -> "Reach":
        """Return what the negation can come to."""
        return Reach(self.false, self.true, self.fails)


_ANY: Final = Reach(true=True, false=True, fails=True)
_FAILS: Final = Reach(true=False, false=False, fails=True)
_NONE: Final = Reach(true=False, false=False, fails=False)


class Outlook:
    """What parts of expressions can come to where some roots are known; remembers what it found."""

    def __init__(self, given: Mapping[str, object] | None = None) -> None:
        """Take the roots that are known: each with its value, or :data:`NEVER`."""
        self._given = given or {}
        self._values = {n: value for n, value in self._given.items() if value is not NEVER}
        self._free: dict[int, frozenset[int] | None] = {}
        self._failures: dict[int, Failure | None] = {}
        # Memories are by identity: nodes are kept so that no other one takes an id.
        self._kept: list[ir.Node] = []

    def reach(self, node: ir.Node) -> Reach:
        """Return which outcomes the condition *node* can have."""
        value = self.value(node)
        if value is not UNKNOWN:
            return Reach(value is True, value is False, type(value) is not bool)
        match node:
            case ir.Named(expression=expression):
                return self.reach(expression.root)
            case ir.Logic(kind=kind, operands=operands):
                return _logic(kind, [self.reach(operand) for operand in operands])
            case ir.Call(function=function, arguments=(only,)) if function is STANDARD["!_"]:
                return ~self.reach(only)
            case ir.Ternary(condition=condition, then=then, otherwise=otherwise):
                asked = self.reach(condition)
                return (
                    (self.reach(then) if asked.true else _NONE)
                    | (self.reach(otherwise) if asked.false else _NONE)
                    | (_FAILS if asked.fails else _NONE)
                )
            case ir.Bind(result=result):
                return self.reach(result)
            case _:
                return _ANY if self.failure(node) is None else _FAILS

    def value(self, node: ir.Node) -> object:
        """Return the value of *node*, or its failure, if it is decided without facts; else :data:`UNKNOWN`.

        Loops are not run: they may take as long as a decision is allowed to.
        """
        if self._locals(node) != frozenset() or ir.has_loop(node):
            return UNKNOWN
        part = ir.Checked("", node, node.type, 0, 0, _slots(node), frozenset(), (), {})
        return value_of(part)(self._values)

    def failure(self, node: ir.Node) -> Failure | None:
        """Return how *node* fails whatever the facts, or None if it need not.

        All but ``&&``, ``||``, the conditional and what asks for a default fail with their operands.
        """
        if id(node) not in self._failures:
            self._kept.append(node)
            self._failures[id(node)] = self._failure(node)
        return self._failures[id(node)]

    def _failure(self, node: ir.Node) -> Failure | None:
        value = self.value(node)
        if value is not UNKNOWN:
            return value if type(value) is Failure else None
        inner: tuple[ir.Node, ...]
        match node:
            case ir.Named(expression=expression):
                inner = (expression.root,)
            case ir.Fold(target=target):
                inner = (target,)
            case ir.Select() | ir.Has() | ir.Index() | ir.Call():
                inner = ir.children(node)
            case _:
                inner = ()
        for part in inner:
            found = self.failure(part)
            if found is not None:
                return found
        return self._by_argument(node) if isinstance(node, ir.Call) else None

    def _by_argument(self, node: ir.Call) -> Failure | None:
        """One argument that makes every call fail: a divisor of zero, an offset or a requirement that is none."""
        if len(node.arguments) != 2:
            return None
        name, (first, second) = node.function.name, node.arguments
        value = self.value(second)
        if name in {"_/_", "_%_"}:
            is_whole = isinstance(node.type, NumberType) and node.type.name in {"int", "uint"}
            is_zero = value.value == 0 if type(value) is Uint else type(value) is int and value == 0
            return Failure("error", None, "division by zero") if is_whole and is_zero else None
        if (
            name == "capability_match"
        ):  # a requirement that is none fails whatever there is to meet it
            nothing = ir.Const(node.span, second.type, {})
            tried = self.value(ir.Call(node.span, node.type, node.function, (first, nothing)))
            return tried if type(tried) is Failure else None
        if name in ZONED and type(value) is str:
            sample = ir.Const(node.span, first.type, Timestamp(0))
            tried = self.value(ir.Call(node.span, node.type, node.function, (sample, second)))
            return tried if type(tried) is Failure else None
        return None

    def _locals(self, node: ir.Node) -> frozenset[int] | None:
        """Return the macro variables that *node* takes from outside; None if it reads an unknown root."""
        if id(node) in self._free:
            return self._free[id(node)]
        self._kept.append(node)
        free: frozenset[int] | None = frozenset()
        match node:
            case ir.Var(name=name) if name not in self._given:
                free = None
            case ir.Local(slot=slot):
                free = frozenset([slot])
            case ir.Named(expression=expression):
                free = self._locals(expression.root)
            case _:
                for part in ir.children(node):
                    inner = self._locals(part)
                    free = None if free is None or inner is None else free | inner
                if free is not None:
                    free -= _bound(node)
        self._free[id(node)] = free
        return free


def _bound(node: ir.Node) -> frozenset[int]:
    match node:
        case ir.Fold(locals=locals_):
            return frozenset(local.slot for local in locals_)
        case ir.Bind(local=local) | ir.OptMap(local=local):
            return frozenset([local.slot])
        case _:
            return frozenset()


def _logic(kind: str, parts: Sequence[Reach]) -> Reach:
    """``&&``, and ``||`` as its mirror: a deciding operand absorbs the failures of the others."""
    if kind == "any":
        return ~_logic("all", [~part for part in parts])
    decided = any(part == Reach(true=False, false=True, fails=False) for part in parts)
    return Reach(
        true=all(part.true for part in parts),
        false=any(part.false for part in parts),
        fails=not decided and any(part.fails for part in parts),
    )


def _slots(node: ir.Node) -> int:
    """How many macro variables an evaluation of *node* needs."""
    return max((slot + 1 for part in walk(node) for slot in _bound(part)), default=0)


def walk(node: ir.Node) -> Iterator[ir.Node]:
    """Yield *node* and every part of it, outer ones first; a named sub-expression is a leaf."""
    stack = [node]
    while stack:
        part = stack.pop()
        yield part
        stack.extend(reversed(ir.children(part)))
