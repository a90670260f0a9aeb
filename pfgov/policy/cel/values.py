"""CEL values that plain Python has no type for, and equality across all of them.

``bool int float str bytes list dict None`` stand for themselves (exact types only:
a subclass is a foreign value).  Unsigned integers, timestamps, durations, types,
optionals and maps with keys that are not strings get the classes below.  This
module knows values only: no expressions, no types as the checker sees them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeGuard, cast

from pfgov.core.characters import escaped
from pfgov.policy.cel.errors import CelError
from pfgov.policy.cel.limits import FACT_DEPTH


@dataclass(frozen=True, slots=True, order=True)
class Uint:
    """An unsigned 64-bit integer.  Not an ``int``, so that Python never mixes the two."""

    value: int


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A point in time: nanoseconds since 1970-01-01T00:00:00Z, years 1 to 9999."""

    ns: int


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time in nanoseconds."""

    ns: int


@dataclass(frozen=True, slots=True)
class TypeValue:
    """A type as a value: what ``type(x)`` returns."""

    name: str


@dataclass(frozen=True, slots=True)
class OptionalValue:
    """A value that may be absent.  ``value`` is meaningless unless ``present``."""

    present: bool
    value: object = None


ABSENT_OPTIONAL: Final = OptionalValue(present=False)


class CelMap:
    """A map with at least one key that is not a string.

    A Python ``dict`` confuses ``true`` with ``1``; this one keys by
    :func:`map_key`, under which ``1``, ``1u`` and ``1.0`` are one key and ``true`` another.
    """

    __slots__ = ("entries",)

    def __init__(self, entries: dict[object, tuple[object, object]]) -> None:
        self.entries = entries

    def __repr__(self) -> str:
        return f"CelMap({dict(self.entries.values())!r})"


MapValue = dict[str, object] | CelMap

BOOL_TYPE: Final = TypeValue("bool")
INT_TYPE: Final = TypeValue("int")
UINT_TYPE: Final = TypeValue("uint")
DOUBLE_TYPE: Final = TypeValue("double")
STRING_TYPE: Final = TypeValue("string")
BYTES_TYPE: Final = TypeValue("bytes")
NULL_TYPE: Final = TypeValue("null_type")
LIST_TYPE: Final = TypeValue("list")
MAP_TYPE: Final = TypeValue("map")
TYPE_TYPE: Final = TypeValue("type")
TIMESTAMP_TYPE: Final = TypeValue("google.protobuf.Timestamp")
DURATION_TYPE: Final = TypeValue("google.protobuf.Duration")
OPTIONAL_TYPE: Final = TypeValue("optional_type")
DYN_TYPE: Final = TypeValue("dyn")

_TYPES: Final[dict[type, TypeValue]] = {
    bool: BOOL_TYPE,
    int: INT_TYPE,
    Uint: UINT_TYPE,
    float: DOUBLE_TYPE,
    str: STRING_TYPE,
    bytes: BYTES_TYPE,
    type(None): NULL_TYPE,
    list: LIST_TYPE,
    dict: MAP_TYPE,
    CelMap: MAP_TYPE,
    Timestamp: TIMESTAMP_TYPE,
    Duration: DURATION_TYPE,
    TypeValue: TYPE_TYPE,
    OptionalValue: OPTIONAL_TYPE,
}

_NUMERIC: Final = frozenset({int, float, Uint})
_SCALARS: Final = frozenset(
    {bool, int, float, bytes, type(None), Uint, Timestamp, Duration, TypeValue}
)


def type_of(value: object) -> TypeValue:
    """Return the CEL type of *value*.

    Raises:
        CelError: The value is of a Python type that is no CEL value.
    """
    found = _TYPES.get(type(value))
    if found is None:
        raise foreign(value)
    return found


def foreign(value: object) -> CelError:
    """The error for a Python object that is not a CEL value."""
    return CelError(f"a Python {type(value).__name__} is not a CEL value", kind="type")


def type_name(value: object) -> str:
    """The name of the CEL type of *value*, for messages; never raises."""
    found = _TYPES.get(type(value))
    return found.name if found else f"Python {type(value).__name__}"


def no_overload(operation: str, *operands: object) -> CelError:
    """The error for an operation that does not exist on these operands."""
    types = ", ".join(type_name(operand) for operand in operands)
    return CelError(f"no such overload: {operation} on ({types})", kind="type")


def written(value: object) -> str:
    """*value* in a sentence: the same on every interpreter, because a sentence is part of a decision."""
    return escaped(repr(value))


# --- size ------------------------------------------------------------------------------------

CONTAINERS: Final = frozenset({list, dict, CelMap})
"""The exact Python types of lists and maps."""


def extent(value: object, cap: int) -> int:
    """How much there is to compare in *value*: items at any depth, or characters, up to *cap*."""
    kind = type(value)
    if kind is str or kind is bytes:
        return len(cast("str", value))
    if kind not in CONTAINERS:
        return 1
    total = 0
    stack = [value]
    while stack and total < cap:
        items = _items_of(stack.pop())
        total += max(1, len(items))
        stack.extend(item for item in items if type(item) in CONTAINERS)
    return total


def _items_of(value: object) -> list[object]:
    if is_list(value):
        return value
    if isinstance(value, CelMap):
        return [held for _, held in value.entries.values()]
    return list(cast("dict[str, object]", value).values())


# --- equality -------------------------------------------------------------------------------


def equal(left: object, right: object, depth: int = 0) -> bool:
    """CEL's ``==``: false across types (numbers compare by value), NaN equals nothing.

    Raises:
        CelError: Neither side is a string and one of them is no CEL value; or they are nested deeper than
            ``FACT_DEPTH``, however much stack there happens to be left.
    """
    left_type, right_type = type(left), type(right)
    if left_type is str or right_type is str:
        return (left == right) is True
    if left_type is right_type:
        if left_type in _SCALARS:
            return left == right
        if left_type is list:
            return _equal_lists(
                cast("list[object]", left), cast("list[object]", right), _deeper(depth)
            )
    if left_type in _NUMERIC and right_type in _NUMERIC:
        return _equal_numbers(left, right)
    if is_map(left) and is_map(right):
        return _equal_maps(left, right, _deeper(depth))
    if left_type is OptionalValue and right_type is OptionalValue:
        return _equal_optionals(
            cast("OptionalValue", left), cast("OptionalValue", right), _deeper(depth)
        )
    type_of(left)
    type_of(right)
    return False


def _deeper(depth: int) -> int:
    if depth >= FACT_DEPTH:
        raise CelError("the facts are nested too deeply")
    return depth + 1


def _equal_lists(left: list[object], right: list[object], depth: int) -> bool:
    if len(left) != len(right):
        return False
    return all(equal(a, b, depth) for a, b in zip(left, right, strict=True))


def _equal_maps(left: MapValue, right: MapValue, depth: int) -> bool:
    if map_size(left) != map_size(right):
        return False
    for key, value in map_items(left):
        other = map_get(right, key, _ABSENT)
        if other is _ABSENT or not equal(value, other, depth):
            return False
    return True


def _equal_optionals(left: OptionalValue, right: OptionalValue, depth: int) -> bool:
    if left.present and right.present:
        return equal(left.value, right.value, depth)
    return left.present == right.present


def _equal_numbers(left: object, right: object) -> bool:
    a = left.value if isinstance(left, Uint) else left
    b = right.value if isinstance(right, Uint) else right
    if type(a) is type(b):
        return a == b
    return _equal_mixed(a, b) if type(a) is int else _equal_mixed(b, a)


def _equal_mixed(integer: object, double: object) -> bool:
    # cel-spec: the integer is converted to double; Python would compare exactly.
    return float(cast("int", integer)) == cast("float", double)


def contains(items: Iterable[object], needle: object) -> bool:
    """Whether an element of *items* equals *needle* (CEL's ``in`` on a list)."""
    if type(needle) is str:
        # Python's own membership gives CEL's answer for an exact str against every element.
        return needle in items if type(items) is list else needle in list(items)
    return any(equal(item, needle) for item in items)


# --- maps -----------------------------------------------------------------------------------

_ABSENT: Final = object()


def is_list(value: object) -> TypeGuard[list[object]]:
    """Whether *value* is a CEL list."""
    return type(value) is list


def is_map(value: object) -> TypeGuard[MapValue]:
    """Whether *value* is a CEL map."""
    return type(value) is dict or type(value) is CelMap


def map_key(key: object) -> object:
    """The normal form of a map key: equal CEL keys, equal normal forms.

    Raises:
        CelError: The key is not a bool, int, uint, string or integral double.
    """
    kind = type(key)
    if kind is str or kind is int:
        return key
    if kind is bool:
        return ("bool", key)
    if isinstance(key, Uint):
        return key.value
    if isinstance(key, float) and key.is_integer():
        return int(key)
    raise CelError(f"{type_name(key)} cannot be a map key", kind="type")


def make_map(pairs: Iterable[tuple[object, object]]) -> MapValue:
    """A map of *pairs*, as a ``dict`` when every key is a string.

    Raises:
        CelError: A key repeats, or is of a type that cannot be a key.
    """
    entries: dict[object, tuple[object, object]] = {}
    plain = True
    for key, value in pairs:
        if type(key) is float:
            raise CelError("double cannot be a map key", kind="type")
        normal = map_key(key)
        if normal in entries:
            raise CelError(f"repeated map key: {written(key)}")
        plain = plain and type(key) is str
        entries[normal] = (key, value)
    if plain:
        return {cast("str", key): value for key, value in entries.values()}
    return CelMap(entries)


def map_get(mapping: MapValue, key: object, default: object) -> object:
    """The value at *key*, or *default*; a key of an impossible type is simply absent."""
    if type(mapping) is dict:
        if type(key) is str:
            return mapping.get(key, default)
        return _scan(cast("dict[object, object]", mapping), key, default)
    try:
        normal = map_key(key)
    except CelError:
        return default
    entry = cast("CelMap", mapping).entries.get(normal)
    return default if entry is None else entry[1]


def _scan(mapping: dict[object, object], key: object, default: object) -> object:
    # A dict from outside with keys that are not strings: hashing would find True at 1.
    for candidate, value in mapping.items():
        if type(candidate) is not str and equal(candidate, key):
            return value
    return default


def map_keys(mapping: MapValue) -> list[object]:
    """The keys, in insertion order."""
    if type(mapping) is dict:
        return list(mapping)
    return [key for key, _ in cast("CelMap", mapping).entries.values()]


def map_items(mapping: MapValue) -> Iterator[tuple[object, object]]:
    """The (key, value) pairs, in insertion order."""
    if type(mapping) is dict:
        return iter(list(mapping.items()))
    return iter(list(cast("CelMap", mapping).entries.values()))


def map_size(mapping: MapValue) -> int:
    """The number of entries."""
    return len(mapping) if type(mapping) is dict else len(cast("CelMap", mapping).entries)
