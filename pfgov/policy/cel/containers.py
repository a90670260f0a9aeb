"""Functions on lists, maps, sets and optionals: size, membership, and the extensions.

Sources: CEL language definition; cel-go ext/lists, ext/sets and optional types.  A list
is a Python list, a map a ``dict`` or :class:`CelMap`; a tuple, set or subclass is not.
"""

import functools
from typing import Final, cast

from pfgov.policy.cel.errors import CelError
from pfgov.policy.cel.limits import RANGE_ITEMS
from pfgov.policy.cel.numbers import less
from pfgov.policy.cel.values import (
    ABSENT_OPTIONAL,
    CelMap,
    Duration,
    OptionalValue,
    Timestamp,
    Uint,
    contains,
    is_list,
    is_map,
    map_get,
    map_size,
    no_overload,
    type_name,
    written,
)  # fmt: skip

_ABSENT: Final = object()
_KEYS: Final = frozenset({str, int, bool, float, Uint})


def size(value: object) -> object:
    """``size(x)``: code points, bytes, items or entries."""
    kind = type(value)
    if kind is list or kind is str or kind is bytes or kind is dict:
        return len(cast("list[object]", value))
    if isinstance(value, CelMap):
        return len(value.entries)
    raise no_overload("size", value)


def member_of(needle: object, container: object) -> object:
    """``needle in container``: an item of a list or a key of a map."""
    if type(container) is list:
        return contains(cast("list[object]", container), needle)
    if is_map(container) and type(needle) in _KEYS:
        return map_get(container, needle, _ABSENT) is not _ABSENT
    raise no_overload("@in", needle, container)


def _list(name: str, value: object) -> list[object]:
    if type(value) is not list:
        raise no_overload(name, value)
    return cast("list[object]", value)


# --- lists ----------------------------------------------------------------------------------


def item(container: object, key: object) -> object:
    """``container[key]`` of a list or map.

    Raises:
        CelError: ``missing`` when there is no such index or key.
    """
    if type(container) is list:
        items = cast("list[object]", container)
        index = _position(key)
        if index is None:
            raise CelError(f"{type_name(key)} is no list index", kind="type")
        if 0 <= index < len(items):
            return items[index]
        raise CelError(f"index {index} is outside a list of {len(items)}", kind="missing")
    if is_map(container):
        value = map_get(container, key, _ABSENT)
        if value is not _ABSENT:
            return value
        raise CelError(f"no such key: {written(key)}", kind="missing")
    raise no_overload("_[_]", container, key)


def _position(key: object) -> int | None:
    if type(key) is int:
        return key
    if isinstance(key, Uint):
        return key.value
    if type(key) is float and key.is_integer():
        return int(key)
    return None


def item_or_absent(container: object, key: object) -> OptionalValue:
    """``container[?key]``."""
    if isinstance(container, OptionalValue):
        return item_or_absent(container.value, key) if container.present else ABSENT_OPTIONAL
    try:
        return OptionalValue(present=True, value=item(container, key))
    except CelError as error:
        if error.kind == "missing":
            return ABSENT_OPTIONAL
        raise


def slice_(items: object, start: object, end: object) -> object:
    """``list.slice(start, end)``."""
    values = _list("slice", items)
    if type(start) is not int or type(end) is not int:
        raise no_overload("slice", items, start, end)
    if not 0 <= start <= end <= len(values):
        raise CelError(f"slice: {start} to {end} is outside a list of {len(values)}")
    return values[start:end]


def flatten(items: object, depth: object = 1) -> object:
    """``list.flatten([depth])``."""
    if type(depth) is not int:
        raise no_overload("flatten", items, depth)
    if depth < 0:
        raise CelError("flatten: level must be non-negative")
    flat: list[object] = []
    for value in _list("flatten", items):
        if is_list(value) and depth > 0:
            flat.extend(cast("list[object]", flatten(value, depth - 1)))
        else:
            flat.append(value)
    return flat


def distinct(items: object) -> object:
    """``list.distinct()``: the first of each group of equal items."""
    kept: list[object] = []
    for value in _list("distinct", items):
        if not contains(kept, value):
            kept.append(value)
    return kept


def sort(items: object) -> object:
    """``list.sort()``: ascending, all items of one orderable type."""
    return _sorted("sort", _list("sort", items), _list("sort", items))


def sort_by_keys(items: object, keys: object) -> object:
    """``list.sortBy(x, key)`` after the keys were computed."""
    return _sorted("sortBy", _list("sortBy", items), _list("sortBy", keys))


def _sorted(name: str, values: list[object], keys: list[object]) -> list[object]:
    kinds = {type(key) for key in keys}
    if kinds - {int, float, str, bytes, bool, Uint, Timestamp, Duration} or len(kinds) > 1:
        raise no_overload(name, *keys[:3])

    def order(left: int, right: int) -> int:
        return -1 if less(keys[left], keys[right]) else int(less(keys[right], keys[left]) is True)

    return [values[i] for i in sorted(range(len(values)), key=functools.cmp_to_key(order))]


def range_(count: object) -> object:
    """``lists.range(n)``."""
    if type(count) is not int:
        raise no_overload("lists.range", count)
    if count < 0:
        raise CelError("lists.range: negative size")
    if count > RANGE_ITEMS:
        raise CelError(f"lists.range: more than {RANGE_ITEMS} items")
    return list(range(count))


def first(items: object) -> object:
    """``list.first()``: an optional."""
    values = _list("first", items)
    return OptionalValue(present=True, value=values[0]) if values else ABSENT_OPTIONAL


def last(items: object) -> object:
    """``list.last()``: an optional."""
    values = _list("last", items)
    return OptionalValue(present=True, value=values[-1]) if values else ABSENT_OPTIONAL


# --- sets -----------------------------------------------------------------------------------


def sets_contains(whole: object, part: object) -> object:
    """``sets.contains(whole, part)``: every item of *part* is in *whole*."""
    container = _list("sets.contains", whole)
    return all(contains(container, value) for value in _list("sets.contains", part))


def sets_intersects(left: object, right: object) -> object:
    """``sets.intersects(left, right)``: some item is in both."""
    container = _list("sets.intersects", right)
    return any(contains(container, value) for value in _list("sets.intersects", left))


def sets_equivalent(left: object, right: object) -> object:
    """``sets.equivalent(left, right)``: each contains the other."""
    return sets_contains(left, right) is True and sets_contains(right, left) is True


# --- optionals ------------------------------------------------------------------------------


def optional_of(value: object) -> object:
    """``optional.of(x)``."""
    return OptionalValue(present=True, value=value)


def optional_none() -> object:
    """``optional.none()``."""
    return ABSENT_OPTIONAL


def optional_of_non_zero(value: object) -> object:
    """``optional.ofNonZeroValue(x)``: absent for null, false, 0, empty."""
    return ABSENT_OPTIONAL if is_zero(value) else OptionalValue(present=True, value=value)


def is_zero(value: object) -> bool:
    """Whether *value* is the zero of its type."""
    if value is None or value is False:
        return True
    kind = type(value)
    if kind is int or kind is float:
        return value == 0
    if kind is str or kind is bytes or kind is list:
        return not value
    if is_map(value):
        return map_size(value) == 0
    if isinstance(value, Uint):
        return value.value == 0
    if isinstance(value, Duration):
        return value.ns == 0
    if isinstance(value, OptionalValue):
        return not value.present
    return False


def _optional(name: str, value: object) -> OptionalValue:
    if not isinstance(value, OptionalValue):
        raise no_overload(name, value)
    return value


def optional_has_value(value: object) -> object:
    """``x.hasValue()``."""
    return _optional("hasValue", value).present


def optional_value(value: object) -> object:
    """``x.value()``: an error when absent."""
    optional = _optional("value", value)
    if not optional.present:
        raise CelError("optional.none() dereference", kind="missing")
    return optional.value


def unwrap_optionals(items: object) -> object:
    """``optional.unwrap(list)`` and ``list.unwrapOpt()``: the present values."""
    return [
        optional.value
        for optional in (_optional("unwrap", value) for value in _list("unwrap", items))
        if optional.present
    ]
