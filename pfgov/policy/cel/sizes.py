"""How large values can get: what is declared of a type, what a constant holds, and what a call makes of its arguments.

The static cost (:mod:`pfgov.policy.cel.cost`) and the time rest on it.  What a call takes is not known here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pfgov.policy.cel.limits import CHARACTERS_ASSUMED, ITEMS_ASSUMED
from pfgov.policy.cel.types import (
    BytesType,
    CelType,
    ListType,
    MapType,
    OptionalType,
    Record,
    Simple,
    StringType,
)  # fmt: skip
from pfgov.policy.cel.values import is_list, is_map, map_items

CEILING: Final = 1 << 62
"""No figure is larger: beyond every bound, and still cheap to calculate with."""


@dataclass(frozen=True, slots=True)
class Size:
    """Largest size of a value (items or characters; 1 for a scalar) and of what it holds."""

    count: int
    inner: "Size | None" = None


SCALAR: Final = Size(1)


def cap(number: int) -> int:
    """Return *number*, or the ceiling."""
    return min(number, CEILING)


def larger(left: Size | None, right: Size | None) -> Size:
    """Return the size of what may be either."""
    if left is None or right is None:
        return left or right or SCALAR
    inner = None
    if left.inner is not None or right.inner is not None:
        inner = larger(left.inner, right.inner)
    return Size(max(left.count, right.count), inner)


def largest(sizes: Iterable[Size | None]) -> Size | None:
    """Return the size of what may be any; None of nothing."""
    found: Size | None = None
    for size in sizes:
        if size is not None:
            found = larger(found, size)
    return found


def volume(size: Size | None) -> int:
    """Return how many characters or scalars there are at all depths together."""
    return 1 if size is None else cap(max(1, size.count) * volume(size.inner))


def widest(size: Size | None) -> int:
    """Return the largest count at any depth."""
    return 1 if size is None else max(size.count, widest(size.inner))


def declared_size(type_: CelType) -> Size:
    """The largest size of a value of *type_*."""
    match type_:
        case ListType(elem=elem, max_items=bound):
            return Size(ITEMS_ASSUMED if bound is None else bound, declared_size(elem))
        case MapType(value=value, max_items=bound):
            return Size(ITEMS_ASSUMED if bound is None else bound, declared_size(value))
        case StringType(max_length=bound) | BytesType(max_length=bound):
            return Size(CHARACTERS_ASSUMED if bound is None else bound)
        case Record(fields=fields):
            return Size(max(len(fields), 2))
        case OptionalType(elem=elem):
            return declared_size(elem)
        case Simple(name="dyn"):
            return Size(CHARACTERS_ASSUMED, Size(CHARACTERS_ASSUMED))
        case _:
            return SCALAR


def size_of(value: object) -> Size:
    """The size of a value that is known: of a map, keys and values are what it holds."""
    if isinstance(value, (str, bytes)):
        return Size(len(value))
    if is_list(value):
        return Size(len(value), largest(size_of(item) for item in value))
    if is_map(value):
        pairs = [part for pair in map_items(value) for part in pair]
        return Size(len(pairs) // 2, largest(size_of(part) for part in pairs))
    return SCALAR


# --- what a call makes of its arguments -----------------------------------------------------


def made_of(name: str, sizes: Sequence[Size], produced: int | None, declared: Size) -> Size:
    """The largest size of what the function *name* gives on arguments of these *sizes*.

    Args:
        name: The function's.
        sizes: Of its arguments.
        produced: What the function's own rule says of the count, which knows no more than the arguments' counts.
        declared: What the type says, where nothing else is known.
    """
    rule = _RESULTS.get(name)
    if rule is not None and sizes:  # `dyn` alone is a name without arguments
        return rule(sizes)
    if produced is None:
        return declared
    return Size(cap(produced), largest(size.inner for size in sizes) or declared.inner)


def _split(sizes: Sequence[Size]) -> Size:
    return Size(sizes[0].count + 1, Size(sizes[0].count))


def _joined(sizes: Sequence[Size]) -> Size:
    """Items and what stands between them; without a separator the list is the only argument."""
    between = sizes[1].count if len(sizes) > 1 else 0
    return Size(cap(volume(sizes[0]) + sizes[0].count * between))


def _formatted(sizes: Sequence[Size]) -> Size:
    """Each clause shows a number in 1,024 characters at most, or all that a text, a list or a map holds.

    Quotes and commas between them are fewer than four for each item.
    """
    shown = max(1_024 * sizes[1].count, 4 * volume(sizes[1]))
    return Size(cap(sizes[0].count + shown))


def _flattened(sizes: Sequence[Size]) -> Size:
    """As many items as there are in all lists; the innermost count is that of a text or a scalar."""
    count, level = 1, sizes[0]
    while level.inner is not None:
        count, level = cap(count * max(1, level.count)), level.inner
    held = widest(sizes[0])
    return Size(count, Size(held, Size(held)))


def _first(sizes: Sequence[Size]) -> Size:
    return sizes[0].inner or Size(CHARACTERS_ASSUMED)


def _same(sizes: Sequence[Size]) -> Size:
    return sizes[0]


_RESULTS: Final[Mapping[str, Callable[[Sequence[Size]], Size]]] = MappingProxyType({
    "split": _split, "join": _joined, "format": _formatted, "flatten": _flattened,
    "first": _first, "last": _first, "value": _same, "dyn": _same, "optional.of": _same,
    "optional.ofNonZeroValue": _same, "optional.unwrap": _same, "unwrapOpt": _same,
})  # fmt: skip
"""Functions whose result is larger than a rule over the arguments' counts can see: it is in what they hold."""
