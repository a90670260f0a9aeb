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

PROOFS_MAX: Final = 200_000
"""Pairs of conditions that one prover remembers."""

STEPS_MAX: Final = 500_000
"""Pairs of conditions, and of values, that one prover looks at: some seconds.  Beyond, it proves nothing more."""


class Prover:
    """Asked about many pairs of conditions: what was found of parts that say the same is remembered."""

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}
        self._known: dict[int, tuple[ir.Node, int]] = {}
        self._odd: list[object] = []
        self._fields: dict[str, tuple[str, ...]] = {}
        self._claims: dict[int, _Claim | None] = {}
        self._proofs: dict[tuple[int, int], bool] = {}
        self._left = STEPS_MAX

    @property
    def is_spent(self) -> bool:
        """Whether it proves nothing more."""
        return self._left <= 0

    def implies(self, one: ir.Node, other: ir.Node) -> bool:
        """Whether *other* is certainly true wherever *one* is."""
        one, other = _open(one), _open(other)
        key = (self.number(one), self.number(other))
        if key[0] == key[1]:
            return True
        if key not in self._proofs:
            if self.is_spent:
                return False
            self._left -= 1
            if len(self._proofs) >= PROOFS_MAX:
                self._proofs.clear()
            self._proofs[key] = self._proved(one, other)
        return self._proofs[key]

    def _proved(self, one: ir.Node, other: ir.Node) -> bool:
        if isinstance(other, ir.Logic) and other.kind == "all":
            return all(self.implies(one, part) for part in other.operands)
        if isinstance(one, ir.Logic) and one.kind == "any":
            return all(self.implies(part, other) for part in one.operands)
        if isinstance(one, ir.Logic):
            return any(self.implies(part, other) for part in one.operands)
        if isinstance(other, ir.Logic):
            return any(self.implies(one, part) for part in other.operands)
        left, right = self._claim_of(one), self._claim_of(other)
        if left is None or right is None or left.path != right.path:
            return False
        self._left -= len(left.values or ())
        return left.within(right)

    def _claim_of(self, node: ir.Node) -> "_Claim | None":
        number = self.number(node)
        if number not in self._claims:
            self._claims[number] = _claim(node)
        return self._claims[number]

    def number(self, node: ir.Node) -> int:
        """Return a number that two trees share where they say the same, wherever they stand."""
        known = self._known.get(id(node))
        if known is None:
            # the node is kept alive, so that no other has its id
            known = self._known[id(node)] = (node, self._numbered(node))
        return known[1]

    def _numbered(self, node: ir.Node) -> int:
        if isinstance(node, ir.Named):
            key: object = (ir.Named, self.number(node.expression.root))
        else:
            key = (type(node), *(self._part(getattr(node, name)) for name in self._said(node)))
        return self._numbers.setdefault(key, len(self._numbers))

    def _said(self, node: ir.Node) -> tuple[str, ...]:
        """Return the fields of a kind of node that say something, apart from where it stands."""
        kind = type(node).__name__
        if kind not in self._fields:
            names = (one.name for one in fields(node))
            self._fields[kind] = tuple(one for one in names if one not in {"span", "type", "slot"})
        return self._fields[kind]

    def _part(self, value: object) -> object:
        if isinstance(value, ir.Node):
            return self.number(value)
        if isinstance(value, tuple):
            return tuple(map(self._part, cast("tuple[object, ...]", value)))
        if isinstance(value, Span | CelType):
            return type(value)
        try:
            hash(value)
        except TypeError:
            return (type(value), self._odd_one(value))
        return (type(value), value)

    def _odd_one(self, value: object) -> int:
        """Return the place of a value without a hash among those that were seen."""
        for at, known in enumerate(self._odd):
            if type(known) is type(value) and known == value:
                return at
        self._odd.append(value)
        return len(self._odd) - 1


def same(one: ir.Node, other: ir.Node) -> bool:
    """Whether two trees say the same, wherever they stand."""
    prover = Prover()
    return prover.number(one) == prover.number(other)


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
