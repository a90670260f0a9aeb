"""The table of functions: name, overloads, cost and implementation of each.

Data.  Operators are rows like any other, under the names cel-go gives them
(``_+_``, ``@in``).  The checker reads the overloads, the cost estimate the cost rule,
the evaluators call the implementation; none of them knows a function by itself.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from pfgov.policy.cel import containers, conversions, formatting, numbers, strings, times
from pfgov.policy.cel.limits import RANGE_ITEMS
from pfgov.policy.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    FREE,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    CelType,
    ListType,
    MapType,
    OptionalType,
    TypeParam,
    TypeType,
)  # fmt: skip

CostRule = Callable[[Sequence[int]], int]
"""Largest sizes of the arguments (1 for a scalar) to cost units of the call itself."""

Implementation = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Overload:
    """One signature.  ``variadic``: the last argument type repeats, at least once."""

    arguments: tuple[CelType, ...]
    result: CelType
    variadic: bool = False


def _one(_sizes: Sequence[int]) -> int:
    return 1


def _no_time(_sizes: Sequence[int]) -> int:
    return 0


def _no_size(_sizes: Sequence[int]) -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class Function:
    """A function an expression may call.

    Attributes:
        name: As written; ``a.b`` for a namespaced one.
        overloads: Its signatures; for a member call the target is the first argument.
        call: Takes exact CEL values; returns one or raises :class:`CelError`.  Pure.
        is_member: Whether it may be called as ``target.name(...)``.
        is_global: Whether it may be called as ``name(target, ...)``.
        cost: Its cost rule.
        result_size: Largest size of the result, where the arguments bound it.
        heavy: Whether a call on a long list or map is work at run time, by the cost rule.
        time: What a call takes by the clock where that is more than its cost, in the same units.
    """

    name: str
    overloads: tuple[Overload, ...]
    call: Implementation
    is_member: bool = False
    is_global: bool = True
    cost: CostRule = _one
    result_size: Callable[[Sequence[int]], int | None] = _no_size
    heavy: bool = False
    time: CostRule = _no_time

    @staticmethod
    def simple(
        name: str,
        arguments: Sequence[CelType],
        result: CelType,
        call: Implementation,
        *,
        cost: int | CostRule = 10,
    ) -> "Function":
        """A global function with one signature, for hosts that add their own."""
        rule: CostRule = cost if callable(cost) else (lambda _sizes: cost)
        return Function(name, (Overload(tuple(arguments), result),), call, cost=rule)


def work(function: Function, sizes: Sequence[int]) -> int:
    """Units of one call on arguments of these sizes, when one of them is a list or map.

    The cost rules know strings, of which ten characters are a unit; an item is one.
    """
    return max(function.cost(sizes), min(sizes))


# --- cost rules (cel-go checker/cost.go: string traversal 0.1 a character) --------------------


def traversal(characters: int) -> int:
    """Cost of reading *characters* once: a tenth of a unit each, at least one."""
    return max(1, -(-characters // 10))


def _compare(sizes: Sequence[int]) -> int:
    return traversal(min(sizes))


def _concat(sizes: Sequence[int]) -> int:
    return traversal(sum(sizes))


def _sum_sizes(sizes: Sequence[int]) -> int:
    return sum(sizes)


def _first_traversal(sizes: Sequence[int]) -> int:
    return traversal(sizes[0])


def _second_traversal(sizes: Sequence[int]) -> int:
    return traversal(sizes[-1])


def _product_traversal(sizes: Sequence[int]) -> int:
    return traversal(sizes[0]) * traversal(sizes[1])


def _pattern(sizes: Sequence[int]) -> int:
    return traversal(sizes[0] + 1) * max(1, -(-sizes[1] // 4))


def _membership(sizes: Sequence[int]) -> int:
    return max(1, sizes[1])


def _product(sizes: Sequence[int]) -> int:
    return max(1, sizes[0]) * max(1, sizes[-1])


def _square(sizes: Sequence[int]) -> int:
    return max(1, sizes[0]) ** 2


def _first_size(sizes: Sequence[int]) -> int:
    return sizes[0]


def _replaced(sizes: Sequence[int]) -> int:
    return (sizes[0] + 1) * (1 + sizes[2])


def _formatted(sizes: Sequence[int]) -> int:
    return sizes[0] + sizes[1] * 1_024


def _encoded(sizes: Sequence[int]) -> int:
    return sizes[0] * 2 + 4


def _joined(sizes: Sequence[int]) -> int:
    return sizes[0] * 256 + sizes[0] * sizes[-1]


# --- the table ------------------------------------------------------------------------------

_A, _B = TypeParam("A"), TypeParam("B")
_LIST_A, _LIST_B = ListType(_A), ListType(_B)
_MAP_AB = MapType(_A, _B)
_OPT_A = OptionalType(_A)


def _same(*kinds: CelType) -> tuple[Overload, ...]:
    return tuple(Overload((kind, kind), kind) for kind in kinds)


def _ordering() -> tuple[Overload, ...]:
    numeric = (INT, UINT, DOUBLE)
    mixed = tuple(Overload((a, b), BOOL) for a in numeric for b in numeric)
    alike = (BOOL, STRING, BYTES, TIMESTAMP, DURATION)
    return mixed + tuple(Overload((kind, kind), BOOL) for kind in alike)


def _on(*signatures: tuple[Sequence[CelType], CelType]) -> tuple[Overload, ...]:
    return tuple(Overload(tuple(arguments), result) for arguments, result in signatures)


def _member(
    name: str,
    call: Implementation,
    *signatures: tuple[Sequence[CelType], CelType],
    cost: CostRule = _one,
    result_size: Callable[[Sequence[int]], int | None] = _no_size,
) -> Function:
    return Function(
        name, _on(*signatures), call, is_member=True, is_global=False, cost=cost,
        result_size=result_size,
    )  # fmt: skip


def _global(
    name: str,
    call: Implementation,
    *signatures: tuple[Sequence[CelType], CelType],
    cost: CostRule = _one,
    result_size: Callable[[Sequence[int]], int | None] = _no_size,
) -> Function:
    return Function(name, _on(*signatures), call, cost=cost, result_size=result_size)


def _operators() -> Iterable[Function]:
    addable = (
        *_same(INT, UINT, DOUBLE, STRING, BYTES, _LIST_A, DURATION),
        *_on(((TIMESTAMP, DURATION), TIMESTAMP), ((DURATION, TIMESTAMP), TIMESTAMP)),
    )
    yield Function("_+_", addable, numbers.add, cost=_concat, result_size=_sum_sizes)
    subtractable = (
        *_same(INT, UINT, DOUBLE, DURATION),
        *_on(((TIMESTAMP, TIMESTAMP), DURATION), ((TIMESTAMP, DURATION), TIMESTAMP)),
    )
    yield Function("_-_", subtractable, numbers.subtract)
    yield Function("_*_", _same(INT, UINT, DOUBLE), numbers.multiply)
    yield Function("_/_", _same(INT, UINT, DOUBLE), numbers.divide)
    yield Function("_%_", _same(INT, UINT), numbers.modulo)
    yield _global("-_", numbers.negate, ((INT,), INT), ((DOUBLE,), DOUBLE), ((DURATION,), DURATION))
    yield _global("!_", numbers.logical_not, ((BOOL,), BOOL))
    for name, call in (
        ("_<_", numbers.less),
        ("_<=_", numbers.less_equal),
        ("_>_", numbers.greater),
        ("_>=_", numbers.greater_equal),
    ):
        yield Function(name, _ordering(), call, cost=_compare)
    for name, call in (("_==_", numbers.equals), ("_!=_", numbers.differs)):
        yield _global(name, call, ((DYN, DYN), BOOL), cost=_compare)
    in_lists = ((_A, _LIST_A), BOOL)
    yield _global("@in", containers.member_of, in_lists, ((_A, _MAP_AB), BOOL), cost=_membership)


def _conversions() -> Iterable[Function]:
    numeric = (INT, UINT, DOUBLE, STRING)
    c = conversions
    yield _global("int", c.to_int, *(((t,), INT) for t in (*numeric, TIMESTAMP, DURATION)))
    yield _global("uint", c.to_uint, *(((t,), UINT) for t in numeric))
    yield _global("double", c.to_double, *(((t,), DOUBLE) for t in numeric))
    to_text = (*numeric, BOOL, BYTES, TIMESTAMP, DURATION)
    yield _global(
        "string", c.to_string, *(((t,), STRING) for t in to_text),
        cost=_first_traversal, result_size=lambda sizes: max(sizes[0], 32),
    )  # fmt: skip
    yield _global(
        "bytes", c.to_bytes, ((STRING,), BYTES), ((BYTES,), BYTES),
        cost=_first_traversal, result_size=lambda sizes: sizes[0] * 4,
    )  # fmt: skip
    yield _global("bool", c.to_bool, ((STRING,), BOOL), ((BOOL,), BOOL))
    yield _global("dyn", c.to_dyn, ((_A,), DYN), result_size=_first_size)
    yield _global("type", c.to_type, ((_A,), TypeType(_A)))
    yield _global(
        "timestamp", c.to_timestamp, *(((t,), TIMESTAMP) for t in (STRING, INT, TIMESTAMP))
    )
    yield _global("duration", c.to_duration, *(((t,), DURATION) for t in (STRING, DURATION)))
    encoded = {"cost": _first_traversal, "result_size": _encoded}
    yield _global("base64.encode", c.base64_encode, ((BYTES,), STRING), **encoded)
    yield _global("base64.decode", c.base64_decode, ((STRING,), BYTES), **encoded)


def _strings() -> Iterable[Function]:
    s, text = strings, STRING
    linear = {"cost": _first_traversal, "result_size": _first_size}
    sized = (((kind,), INT) for kind in (text, BYTES, _LIST_A, _MAP_AB))
    yield Function("size", _on(*sized), containers.size, is_member=True)
    pair = ((text, text), BOOL)
    yield _member("contains", s.contains, pair, cost=_product_traversal)
    yield _member("startsWith", s.starts_with, pair, cost=_second_traversal)
    yield _member("endsWith", s.ends_with, pair, cost=_second_traversal)
    yield Function("matches", _on(pair), s.matches, is_member=True, cost=_pattern)
    yield _member("charAt", s.char_at, ((text, INT), text), result_size=lambda _sizes: 1)
    for name, call in (("indexOf", s.index_of), ("lastIndexOf", s.last_index_of)):
        yield _member(
            name, call, ((text, text), INT), ((text, text, INT), INT), cost=_product_traversal
        )
    yield _member("lowerAscii", s.lower_ascii, ((text,), text), **linear)
    yield _member("upperAscii", s.upper_ascii, ((text,), text), **linear)
    yield _member(
        "replace", s.replace, ((text, text, text), text), ((text, text, text, INT), text),
        cost=lambda sizes: traversal(_replaced(sizes)), result_size=_replaced,
    )  # fmt: skip
    yield _member(
        "split", s.split, ((text, text), ListType(text)), ((text, text, INT), ListType(text)),
        cost=_first_traversal, result_size=lambda sizes: sizes[0] + 1,
    )  # fmt: skip
    yield _member("substring", s.substring, ((text, INT), text), ((text, INT, INT), text), **linear)
    yield _member("trim", s.trim, ((text,), text), **linear)
    yield _member("reverse", s.reverse, ((text,), text), ((_LIST_A,), _LIST_A), **linear)
    words = ListType(text)
    yield _member(
        "join", s.join, ((words,), text), ((words, text), text),
        cost=lambda sizes: traversal(_joined(sizes)), result_size=_joined,
    )  # fmt: skip
    yield _global(
        "strings.quote", s.quote, ((text,), text),
        cost=_first_traversal, result_size=lambda sizes: sizes[0] * 2 + 2,
    )  # fmt: skip
    yield _member(
        "format", formatting.format_, ((text, ListType(DYN)), text),
        cost=lambda sizes: traversal(_formatted(sizes)), result_size=_formatted,
    )  # fmt: skip


def _lists_and_sets() -> Iterable[Function]:
    c = containers
    kept = {"cost": _first_size, "result_size": _first_size}
    yield _member("slice", c.slice_, ((_LIST_A, INT, INT), _LIST_A), **kept)
    yield _member(
        "flatten", c.flatten, ((ListType(_LIST_A),), _LIST_A), ((ListType(DYN),), ListType(DYN)),
        ((ListType(DYN), INT), ListType(DYN)),
        cost=_square, result_size=lambda sizes: sizes[0] ** 2,
    )  # fmt: skip
    squared = {"cost": _square, "result_size": _first_size}
    yield _member("distinct", c.distinct, ((_LIST_A,), _LIST_A), **squared)
    yield _member("sort", c.sort, ((_LIST_A,), _LIST_A), **squared)
    yield _global("@sortByKeys", c.sort_by_keys, ((_LIST_A, _LIST_B), _LIST_A), **squared)
    yield _global(
        "lists.range", c.range_, ((INT,), ListType(INT)), result_size=lambda _sizes: RANGE_ITEMS
    )
    yield _member("first", c.first, ((_LIST_A,), _OPT_A))
    yield _member("last", c.last, ((_LIST_A,), _OPT_A))
    for name, call in (
        ("sets.contains", c.sets_contains),
        ("sets.intersects", c.sets_intersects),
        ("sets.equivalent", c.sets_equivalent),
    ):
        yield _global(name, call, ((_LIST_A, _LIST_A), BOOL), cost=_product)


def _optionals() -> Iterable[Function]:
    c = containers
    yield _global("optional.of", c.optional_of, ((_A,), _OPT_A), result_size=_first_size)
    yield _global("optional.none", c.optional_none, ((), OptionalType(FREE)))
    yield _global(
        "optional.ofNonZeroValue", c.optional_of_non_zero, ((_A,), _OPT_A), result_size=_first_size
    )
    yield _global("optional.unwrap", c.unwrap_optionals, ((ListType(_OPT_A),), _LIST_A),
                  cost=_first_size, result_size=_first_size)  # fmt: skip
    yield _member("unwrapOpt", c.unwrap_optionals, ((ListType(_OPT_A),), _LIST_A),
                  cost=_first_size, result_size=_first_size)  # fmt: skip
    yield _member("hasValue", c.optional_has_value, ((_OPT_A,), BOOL))
    yield _member("value", c.optional_value, ((_OPT_A,), _A), result_size=_first_size)


def _math() -> Iterable[Function]:
    n, numeric = numbers, (INT, UINT, DOUBLE)
    call: Implementation
    for name, call in (("math.greatest", n.greatest), ("math.least", n.least)):
        alike = tuple(Overload((kind,), kind, variadic=True) for kind in numeric)
        lists = tuple(Overload((ListType(kind),), kind) for kind in numeric)
        mixed = (Overload((DYN,), DYN, variadic=True),)
        yield Function(name, alike + lists + mixed, call, cost=_sum_sizes)
    for name, call in (
        ("math.ceil", n.ceil), ("math.floor", n.floor), ("math.trunc", n.trunc),
        ("math.round", n.round_half_away),
    ):  # fmt: skip
        yield _global(name, call, ((DOUBLE,), DOUBLE))
    for name, call in (
        ("math.isNaN", n.is_nan), ("math.isInf", n.is_inf), ("math.isFinite", n.is_finite),
    ):  # fmt: skip
        yield _global(name, call, ((DOUBLE,), BOOL))
    for name, call in (("math.abs", n.absolute), ("math.sign", n.sign)):
        yield _global(name, call, *(((kind,), kind) for kind in numeric))
    yield _global("math.sqrt", n.square_root, *(((kind,), DOUBLE) for kind in numeric))
    for name, call in (
        ("math.bitAnd", n.bit_and), ("math.bitOr", n.bit_or), ("math.bitXor", n.bit_xor),
    ):  # fmt: skip
        yield _global(name, call, ((INT, INT), INT), ((UINT, UINT), UINT))
    yield _global("math.bitNot", n.bit_not, ((INT,), INT), ((UINT,), UINT))
    for name, call in (
        ("math.bitShiftLeft", n.shift_left), ("math.bitShiftRight", n.shift_right),
    ):  # fmt: skip
        yield _global(name, call, ((INT, INT), INT), ((UINT, INT), UINT))


def _times(*, named_zones: bool) -> Iterable[Function]:
    both = {"getHours", "getMinutes", "getSeconds", "getMilliseconds"}
    for name, call in times.accessors(named_zones=named_zones).items():
        signatures: list[tuple[Sequence[CelType], CelType]] = [
            ((TIMESTAMP,), INT),
            ((TIMESTAMP, STRING), INT),
        ]
        if name in both:
            signatures.append(((DURATION,), INT))
        yield _member(name, call, *signatures)


def _table(*, named_zones: bool) -> Mapping[str, Function]:
    rows = (
        *_operators(), *_conversions(), *_strings(), *_lists_and_sets(), *_optionals(), *_math(),
        *_times(named_zones=named_zones),
    )  # fmt: skip
    return MappingProxyType({
        row.name: replace(row, heavy=row.name in _HEAVY, time=_times_taken(row.name))
        for row in rows
    })  # fmt: skip


_HEAVY: Final = frozenset({
    "@in", "_==_", "_!=_", "distinct", "flatten", "sort", "@sortByKeys", "sets.contains",
    "sets.intersects", "sets.equivalent",
})  # fmt: skip
"""Functions whose time grows with a list or map they are given."""

_TAKES: Final[Mapping[str, CostRule]] = MappingProxyType({
    "timestamp": lambda sizes: 40 + traversal(sizes[0]),
    "duration": lambda sizes: 16 + 8 * sizes[0],
    "int": lambda sizes: 10 + traversal(sizes[0]),
    "uint": lambda sizes: 10 + traversal(sizes[0]),
    "double": lambda sizes: 10 + traversal(sizes[0]),
    "string": lambda sizes: 25 + traversal(sizes[0]),
    "matches": lambda sizes: 40 + _pattern(sizes),
    "format": lambda sizes: 40 + 40 * sizes[0] + 25 * sizes[1],
    "split": lambda sizes: 10 + sizes[0],
    "base64.decode": lambda sizes: 10 + traversal(sizes[0]),
    "charAt": lambda _sizes: 6,
})  # fmt: skip
"""Functions that take longer than cel-go's model says, in units of at most 0.1 microseconds: measured, rounded up."""

_READING_A_CLOCK: Final = 20
"""What ``getHours`` and its like take."""


def _times_taken(name: str) -> CostRule:
    if name.startswith("get"):
        return lambda _sizes: _READING_A_CLOCK
    return _TAKES.get(name, _no_time)


STANDARD: Final = _table(named_zones=False)
"""Every function of the profile."""

STANDARD_WITH_ZONES: Final = _table(named_zones=True)
"""The same, with time zones by name; for conformance runs, never for policies."""

TYPE_NAMES: Final[Mapping[str, CelType]] = MappingProxyType({
    "bool": BOOL, "int": INT, "uint": UINT, "double": DOUBLE, "string": STRING, "bytes": BYTES,
    "null_type": NULL, "list": ListType(DYN), "map": MapType(DYN, DYN), "type": TypeType(DYN),
    "google.protobuf.Timestamp": TIMESTAMP, "google.protobuf.Duration": DURATION,
    "optional_type": OptionalType(DYN),
})  # fmt: skip
"""Identifiers that denote types."""
