"""The static cost of a checked expression: the most one evaluation can take.

cel-go's model (checker/cost.go): 1 for a name or a field, 10 for a list, 30 for a map,
a tenth per character read, and a loop costs its items times its body.  Sizes come from
the bounds in the types, which ingest enforces; where nobody declared one, a named
assumption.  Nothing is evaluated here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from pfgov.policy.cel import ir
from pfgov.policy.cel.limits import CHARACTERS_ASSUMED, ITEMS_ASSUMED
from pfgov.policy.cel.types import BytesType, CelType, ListType, MapType, Record, Simple, StringType

_CEILING: Final = 1 << 62
_LIST_COST: Final = 10
_MAP_COST: Final = 30
_STEP_COST: Final = 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """Largest ``cost`` in units, and largest ``size`` of the value (1 for a scalar)."""

    cost: int
    size: int


@dataclass(slots=True)
class _Estimator:
    sizes: dict[int, int] = field(default_factory=dict[int, int])

    def node(self, node: ir.Node) -> Estimate:
        match node:
            case ir.Const(value=value):
                return Estimate(0, _constant_size(value))
            case ir.Var() | ir.Named():
                return Estimate(1, declared_size(node.type))
            case ir.Local(slot=slot):
                return Estimate(1, self.sizes.get(slot, declared_size(node.type)))
            case ir.Call():
                return self.call(node)
            case ir.Logic(operands=operands):
                return Estimate(_cap(sum(self.node(part).cost for part in operands)), 1)
            case ir.Ternary():
                return self.ternary(node)
            case ir.MakeList(items=items):
                cost = _LIST_COST + sum(self.node(part).cost for part in items)
                return Estimate(_cap(cost), len(items))
            case ir.MakeMap(entries=entries):
                parts = [part for entry in entries for part in entry]
                cost = _MAP_COST + sum(self.node(part).cost for part in parts)
                return Estimate(_cap(cost), len(entries))
            case ir.Fold():
                return self.fold(node)
            case ir.OptMap(local=local, target=target, result=result):
                return self.binding(local, target, result)
            case ir.Bind(local=local, value=value, result=result):
                return self.binding(local, value, result)
            case _:
                cost = 1 + sum(self.node(part).cost for part in ir.children(node))
                return Estimate(_cap(cost), declared_size(node.type))

    def call(self, node: ir.Call) -> Estimate:
        parts = [self.node(part) for part in node.arguments]
        sizes = [part.size for part in parts]
        cost = sum(part.cost for part in parts) + node.function.cost(sizes)
        size = node.function.result_size(sizes)
        if size is None or _is_scalar(node.type):
            size = declared_size(node.type)
        return Estimate(_cap(cost), min(size, _CEILING))

    def ternary(self, node: ir.Ternary) -> Estimate:
        condition, then = self.node(node.condition), self.node(node.then)
        otherwise = self.node(node.otherwise)
        cost = condition.cost + max(then.cost, otherwise.cost)
        return Estimate(_cap(cost), max(then.size, otherwise.size))

    def fold(self, node: ir.Fold) -> Estimate:
        target = self.node(node.target)
        body = sum(self.node(part).cost for part in (node.condition, node.result) if part)
        cost = target.cost + target.size * (body + _STEP_COST)
        size = 1 if _is_scalar(node.type) else target.size
        return Estimate(_cap(cost), size)

    def binding(self, local: ir.Local, value: ir.Node, result: ir.Node) -> Estimate:
        bound = self.node(value)
        self.sizes[local.slot] = bound.size
        inner = self.node(result)
        return Estimate(_cap(bound.cost + inner.cost + 1), inner.size)


def estimate(root: ir.Node, named: Mapping[str, ir.Checked]) -> Estimate:
    """The largest cost and size of *root*; each of its named sub-expressions counts once."""
    own = _Estimator().node(root)
    shared = sum(_own_cost(checked) for checked in named.values())
    return Estimate(_cap(own.cost + shared), own.size)


def _own_cost(checked: ir.Checked) -> int:
    return _Estimator().node(checked.root).cost


def _cap(cost: int) -> int:
    return min(cost, _CEILING)


def _is_scalar(type_: CelType) -> bool:
    return declared_size(type_) == 1


def _constant_size(value: object) -> int:
    return len(cast("str", value)) if isinstance(value, (str, bytes, list, dict)) else 1


def declared_size(type_: CelType) -> int:
    """The largest size of a value of *type_*: items, characters, or 1 for a scalar."""
    match type_:
        case ListType(max_items=bound) | MapType(max_items=bound):
            return ITEMS_ASSUMED if bound is None else bound
        case StringType(max_length=bound) | BytesType(max_length=bound):
            return CHARACTERS_ASSUMED if bound is None else bound
        case Record(fields=fields):
            return len(fields)
        case Simple(name="dyn"):
            return CHARACTERS_ASSUMED
        case _:
            return 1
