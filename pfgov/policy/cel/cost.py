"""The static cost of a checked expression: the most one evaluation can take.

cel-go's model (checker/cost.go): 1 for a name or a field, 10 for a list, 30 for a map,
a tenth per character read, and a loop costs its items times its body.  Sizes come from
the bounds in the types, which ingest enforces; where nobody declared one, a named
assumption.  Sizes are followed through macros, so that a string doubled in every step
is seen to grow.  Nothing is evaluated here.

Two figures come of it.  The *cost* is cel-go's, in which a call is cheap whatever it does: it bounds one expression,
and an expression that was accepted once is accepted for ever.  The *time* counts what calls take by the clock: it
bounds a whole set of rules (:mod:`pfgov.policy.budget`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from pfgov.policy.cel import ir
from pfgov.policy.cel.errors import CelError
from pfgov.policy.cel.library import traversal, work
from pfgov.policy.cel.limits import (
    PATTERN_CHARACTER_STEPS,
    PATTERN_COMPILED_UNITS,
    PATTERN_STEP_UNITS,
    PATTERN_STEPS_ASSUMED,
)
from pfgov.policy.cel.sizes import (
    SCALAR,
    Size,
    cap,
    declared_size,
    larger,
    made_of,
    size_of,
    widest,
)
from pfgov.policy.cel.strings import compile_pattern
from pfgov.policy.cel.types import (
    BytesType,
    CelType,
    ListType,
    MapType,
    Record,
    Simple,
    StringType,
)  # fmt: skip

_LIST_COST: Final = 10
_MAP_COST: Final = 30
_STEP_COST: Final = 3
_COMPARED_AT_ONCE: Final = 512
"""Characters of a text in a list that are compared in the time that comparing an item takes."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Largest ``cost`` in units, and largest size of the value."""

    cost: int
    size: Size


@dataclass(slots=True)
class _Estimator:
    """Walks one tree.  With ``is_timed`` calls cost what they take, and sizes are what values really can have.

    ``once`` is what a loop does not repeat.
    """

    is_timed: bool = False
    once: int = 0
    sizes: dict[int, Size] = field(default_factory=dict[int, Size])

    def node(self, node: ir.Node) -> Estimate:
        match node:
            case ir.Const(value=value):
                known = size_of(value) if self.is_timed else _constant_size(value, node.type)
                return Estimate(0, known)
            case ir.Local(slot=slot):
                return Estimate(1, self.sizes.get(slot) or declared_size(node.type))
            case ir.Call():
                return self.call(node)
            case ir.Ternary():
                return self.ternary(node)
            case ir.MakeList() | ir.MakeMap():
                return self.literal(node)
            case ir.Fold():
                return self.fold(node)
            case ir.OptMap(local=local, target=target, result=result):
                return self.binding(local, target, result)
            case ir.Bind(local=local, value=value, result=result):
                return self.binding(local, value, result)
            case ir.OrValue(target=target, other=other):
                parts = self.node(target), self.node(other)
                size = larger(parts[0].size, parts[1].size)
                return Estimate(cap(1 + parts[0].cost + parts[1].cost), size)
            case _:
                parts_ = [self.node(part) for part in ir.children(node)]
                cost = (0 if isinstance(node, ir.Logic) else 1) + sum(p.cost for p in parts_)
                return Estimate(cap(cost), self.read_size(node, parts_))

    def read_size(self, node: ir.Node, parts: list[Estimate]) -> Size:
        """The size of a field or item: what its operand is known to hold, or what is declared."""
        declared = declared_size(node.type)
        if self.is_timed:
            if isinstance(node, ir.Named):
                return node.expression.held or declared
            if isinstance(node, (ir.Select, ir.Index, ir.OptionalAccess)):
                inner = parts[0].size.inner
                # A dynamic operand may be a record beside other things, and nobody knows what of it is read.
                return larger(inner, declared) if node.type == Simple("dyn") else inner or declared
        elif isinstance(node, (ir.Select, ir.Index)) and parts and _is_open(node.type):
            return parts[0].size.inner or declared
        return declared

    def call(self, node: ir.Call) -> Estimate:
        parts = [self.node(part) for part in node.arguments]
        counts = [part.size.count for part in parts]
        units = node.function.cost(counts)
        if node.function.heavy and any(_holds_items(part.type) for part in node.arguments):
            pairs = zip(parts, node.arguments, strict=True)
            extents = [_extent(part.size, argument.type) for part, argument in pairs]
            units = max(units, work(node.function, extents))
        if self.is_timed:
            units = self.time(node, parts, units)
        produced = node.function.result_size(counts)
        size = declared_size(node.type)
        if produced is not None:
            units = max(units, traversal(produced))
            if size != SCALAR:
                inner = size.inner
                for part in parts:
                    inner = larger(inner, part.size.inner)
                size = Size(cap(produced), inner)
        if self.is_timed and size != SCALAR:
            held = [part.size for part in parts]
            size = made_of(node.function.name, held, produced, declared_size(node.type))
            units = max(units, traversal(size.count))
        return Estimate(cap(units + sum(part.cost for part in parts)), size)

    def time(self, node: ir.Call, parts: list[Estimate], cost: int) -> int:
        """What one call takes, which is its *cost* at least.

        A pattern that is written in the rule is compiled once, any other each time.
        """
        pairs = zip(parts, node.arguments, strict=True)
        units = node.function.time([
            _extent(part.size, argument.type) if _holds_items(argument.type) else part.size.count
            for part, argument in pairs
        ])  # fmt: skip
        units = max(units, cost)
        if node.function.name == "matches":
            pattern = node.arguments[-1]
            units += parts[0].size.count * _stepping(pattern)
            if isinstance(pattern, ir.Const):
                self.once = cap(self.once + _compiling(pattern))
            else:
                units += PATTERN_COMPILED_UNITS
        elif node.function.heavy:
            longest = max(widest(part.size) for part in parts)
            units *= 1 + longest // _COMPARED_AT_ONCE
        return units

    def ternary(self, node: ir.Ternary) -> Estimate:
        condition, then = self.node(node.condition), self.node(node.then)
        otherwise = self.node(node.otherwise)
        cost = condition.cost + max(then.cost, otherwise.cost)
        return Estimate(cap(cost), larger(then.size, otherwise.size))

    def literal(self, node: ir.MakeList | ir.MakeMap) -> Estimate:
        held = node.items if isinstance(node, ir.MakeList) else [v for _, v in node.entries]
        cost = _LIST_COST if isinstance(node, ir.MakeList) else _MAP_COST
        inner: Size | None = None
        for part in ir.children(node):
            estimate = self.node(part)
            cost += estimate.cost
            if part in held or self.is_timed:
                inner = larger(inner, estimate.size)
        return Estimate(cap(cost), Size(len(held), inner))

    def fold(self, node: ir.Fold) -> Estimate:
        target = self.node(node.target)
        for local in node.locals:
            declared = declared_size(local.type)
            if local is node.locals[-1] and isinstance(node.target.type, ListType):
                declared = target.size.inner or declared
            elif self.is_timed:
                declared = larger(declared, target.size.inner)
            self.sizes[local.slot] = declared
        condition = self.node(node.condition) if node.condition is not None else None
        result = self.node(node.result) if node.result is not None else None
        body = sum(part.cost for part in (condition, result) if part is not None)
        cost = target.cost + target.size.count * (body + _STEP_COST)
        size = SCALAR
        if declared_size(node.type) != SCALAR:
            size = Size(target.size.count, result.size if result else target.size.inner)
            if self.is_timed and result:
                size = _transformed(node, target.size, result.size)
        return Estimate(cap(cost), size)

    def binding(self, local: ir.Local, value: ir.Node, result: ir.Node) -> Estimate:
        bound = self.node(value)
        self.sizes[local.slot] = bound.size
        inner = self.node(result)
        return Estimate(cap(bound.cost + inner.cost + 1), inner.size)


def estimate(root: ir.Node, named: Mapping[str, ir.Checked]) -> tuple[int, int]:
    """The largest cost and size of *root*; each of its named sub-expressions counts once."""
    own = _Estimator().node(root)
    shared = sum(_Estimator().node(checked.root).cost for checked in named.values())
    return cap(own.cost + shared), own.size.count


def time_of(root: ir.Node, named: Mapping[str, ir.Checked]) -> tuple[int, Size]:
    """The longest that *root* can take, in units of at most 0.1 microseconds, as :func:`estimate` counts; and its size.

    The size is what the value really can have.  That of :func:`estimate` assumes some that only the cost was ever
    bounded by: it takes items of what is split, joined or put into a map for no longer than others.
    """
    own = _Estimator(is_timed=True)
    found = own.node(root)
    total = found.cost + own.once
    for checked in named.values():
        walk = _Estimator(is_timed=True)
        total += walk.node(checked.root).cost + walk.once
    return cap(total), found.size


def _transformed(node: ir.Fold, target: Size, result: Size) -> Size:
    """What a macro makes that puts *result* into a list or a map for each item of *target*; it may keep the keys."""
    if node.kind in {"map", "transform_list"}:
        return Size(target.count, result)
    if node.kind == "transform_map":
        return Size(target.count, larger(result, target.inner))
    return Size(cap(target.count * max(1, result.count)), result.inner)


def _compiling(pattern: ir.Const) -> int:
    steps = program_steps(pattern.value)
    return PATTERN_COMPILED_UNITS if steps is None else steps * PATTERN_STEP_UNITS


def _stepping(pattern: ir.Node) -> int:
    """What a character of a text takes at most that is matched with *pattern*."""
    steps = program_steps(pattern.value) if isinstance(pattern, ir.Const) else None
    return 2 + (PATTERN_STEPS_ASSUMED if steps is None else steps) // PATTERN_CHARACTER_STEPS


def program_steps(pattern: object) -> int | None:
    """How many steps the program of *pattern* has; None if it is no pattern."""
    try:
        return int(compile_pattern(pattern).programsize) if isinstance(pattern, str) else None
    except CelError:
        return None


def _constant_size(value: object, type_: CelType) -> Size:
    if isinstance(value, (str, bytes, list, dict)):
        return Size(len(cast("str", value)), declared_size(type_).inner)
    return SCALAR


def _extent(size: Size | None, type_: CelType) -> int:
    """Items at any depth, as :func:`pfgov.policy.cel.values.extent` counts them."""
    if size is None:
        size = declared_size(type_)
    match type_:
        case ListType(elem=elem) | MapType(value=elem):
            return cap(size.count * (1 + _deeper(size.inner, elem)))
        case Record(fields=fields):
            return 1 + sum(1 + _deeper(None, field_.type) for field_ in fields.values())
        case _:
            return size.count


def _deeper(size: Size | None, type_: CelType) -> int:
    # What a dynamic item holds is left to the budget at run time.
    return _extent(size, type_) if isinstance(type_, (ListType, MapType, Record)) else 0


def _holds_items(type_: CelType) -> bool:
    return isinstance(type_, (ListType, MapType, Record)) or type_ == Simple("dyn")


def _is_open(type_: CelType) -> bool:
    """Whether nobody declared how large a value of *type_* may be."""
    match type_:
        case ListType(max_items=bound) | MapType(max_items=bound):
            return bound is None
        case StringType(max_length=bound) | BytesType(max_length=bound):
            return bound is None
        case _:
            return type_ == Simple("dyn")
