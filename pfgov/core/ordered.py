"""Collections that are walked in the order of their keys, whoever filled them and when.

A dict keeps the order in which it was filled, and a set that of its hashes.  An engine that has run for a month, one
that has just loaded its tables, and an auditor's fold fill them differently, and each must decide the same: so the
order in which the state is walked is a property of what is in it.  Looking something up costs what it costs in a
dict; walking costs a sort.  This module knows nothing of what it holds.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

V = TypeVar("V")


class Rows(dict[str, V]):
    """A dict that is walked in the order of its keys."""

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(super().__iter__()))

    def __reversed__(self) -> Iterator[str]:
        return iter(sorted(super().__iter__(), reverse=True))

    def keys(self) -> list[str]:  # type: ignore[override]  # a list is walked in order, a view of a dict is not
        """Return the keys in order."""
        return sorted(super().__iter__())

    def values(self) -> list[V]:  # type: ignore[override]
        """Return the values in the order of their keys."""
        return [self[key] for key in self]

    def items(self) -> list[tuple[str, V]]:  # type: ignore[override]
        """Return the pairs in the order of their keys."""
        return sorted(super().items(), key=lambda pair: pair[0])


class Ids(set[str]):
    """A set that is walked in order."""

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(super().__iter__()))


def in_order(values: Mapping[str, V] | Iterable[tuple[str, V]]) -> dict[str, V]:
    """Return a dict of *values* that was filled in the order of its keys; of equal keys the last counts."""
    return dict(sorted(dict(values).items()))
