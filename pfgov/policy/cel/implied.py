"""Whether one condition makes another one needless: ``x > 0.9`` says all that ``x > 0.5`` says.

A sound but incomplete prover over checked trees: equal parts, conjunctions, disjunctions, and
comparisons of one path with constants.  Used for warnings; nothing that decides asks it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, cast

from pfgov.policy.cel import ir
from pfgov.policy.cel.constant import comparison
from pfgov.policy.cel.library import STANDARD
from pfgov.policy.cel.syntax import Span
from pfgov.policy.cel.types import CelType


def implies(one: ir.Node, other: ir.Node) -> bool:
    """Whether *other* is certainly true wherever *one* is."""
    one, other = _open(one), _open(other)
    if same(one, other):
        return True
    if isinstance(other, ir.Logic) and other.kind == "all":
        return all(implies(one, part) for part in other.operands)
    if isinstance(one, ir.Logic) and one.kind == "any":
        return all(implies(part, other) for part in one.operands)
    if isinstance(one, ir.Logic):
        return any(implies(part, other) for part in one.operands)
    if isinstance(other, ir.Logic):
        return any(implies(one, part) for part in other.operands)
    left, right = _claim(one), _claim(other)
    return left is not None and right is not None and left.path == right.path and left.within(right)


def same(one: object, other: object) -> bool:
    """Whether two trees say the same, wherever they stand."""
    if isinstance(one, ir.Named) and isinstance(other, ir.Named):
        return same(one.expression.root, other.expression.root)
    if type(one) is not type(other):
        return False
    if isinstance(one, ir.Node):
        return all(
            same(getattr(one, field.name), getattr(other, field.name))
            for field in fields(one)
            if field.name not in {"span", "type", "slot"}
        )
    if isinstance(one, tuple):
        first, second = cast("tuple[object, ...]", one), cast("tuple[object, ...]", other)
        return len(first) == len(second) and all(map(same, first, second))
    return isinstance(one, Span | CelType) or one == other


def _open(node: ir.Node) -> ir.Node:
    """Return *node* without names and double negations."""
    while True:
        match node:
            case ir.Named(expression=expression):
                node = expression.root
            case ir.Call(function=function, arguments=(inner,)) if function is STANDARD["!_"]:
                match _open(inner):
                    case ir.Call(function=again, arguments=(only,)) if again is STANDARD["!_"]:
                        node = only
                    case _:
                        return node
            case _:
                return node


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a comparison leaves of one path: numbers in an interval, or some values, or all but some."""

    path: tuple[str, ...]
    # An end is a number, and whether it is left out itself.
    low: tuple[float, bool] = (-math.inf, False)
    high: tuple[float, bool] = (math.inf, False)
    values: frozenset[object] | None = None
    without: frozenset[object] = frozenset()

    def within(self, other: "_Claim") -> bool:
        """Whether every value that this leaves is left by *other*."""
        if self.values is not None:
            return all(other.takes(value) for value in self.values)
        if other.values is not None:
            return False
        if other.without:
            return other.without <= self.without or (
                not self.without and not any(self.takes(value) for value in other.without)
            )
        if self.without:
            return False
        own, its = self.high, other.high
        return self.low >= other.low and (own[0], not own[1]) <= (its[0], not its[1])

    def takes(self, value: object) -> bool:
        """Whether *value* is left."""
        if self.values is not None:
            return value in self.values
        if value in self.without:
            return False
        if type(value) not in {int, float}:
            return self.low[0] == -math.inf and self.high[0] == math.inf
        number = float(cast("float", value))
        above = number > self.low[0] or (number == self.low[0] and not self.low[1])
        below = number < self.high[0] or (number == self.high[0] and not self.high[1])
        return above and below


_NUMBERS: Final = frozenset({"_<_", "_<=_", "_>_", "_>=_"})


def _claim(node: ir.Node) -> _Claim | None:
    if isinstance(node, ir.Call) and node.function.name == "@in":
        return _listed(node.arguments)
    found = comparison(node)
    if found is None:
        return None
    operator, path, _, value = found
    if operator in _NUMBERS:
        if type(value) not in {int, float}:
            return None
        number = float(cast("float", value))
        bound = (number, operator in {"_<_", "_>_"})
        return _Claim(path, low=bound) if operator in {"_>_", "_>=_"} else _Claim(path, high=bound)
    if type(value) not in {int, float, str, bool}:
        return None
    only = frozenset([value])
    return _Claim(path, values=only) if operator == "_==_" else _Claim(path, without=only)


def _listed(arguments: Sequence[ir.Node]) -> _Claim | None:
    path = ir.path_of(arguments[0])
    container = arguments[1]
    if path is None or not isinstance(container, ir.MakeList):
        return None
    values = [item.value for item in container.items if isinstance(item, ir.Const)]
    if len(values) != len(container.items) or any(type(v) not in {int, float, str} for v in values):
        return None
    return _Claim(path, values=frozenset(values))
