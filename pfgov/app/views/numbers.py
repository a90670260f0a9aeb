"""Numbers and moments as views show them.

Inside, quantities are integers in millionths and times are microseconds; outside, they are JSON numbers and RFC 3339
texts.  This module knows no record.
"""

from collections.abc import Iterable, Mapping

from pfgov.limits import MICRO
from pfgov.model.times import to_moment


def number(micro: int) -> float | int:
    """Return *micro* millionths as a number: whole where it is whole.

    >>> number(50_000_000), number(950_000)
    (50, 0.95)
    """
    return micro // MICRO if micro % MICRO == 0 else micro / MICRO


def numbers(amounts: Mapping[str, int] | Iterable[tuple[str, int]]) -> dict[str, float | int]:
    """Return resource dimensions with their amounts, in the order of their names."""
    return {name: number(micro) for name, micro in sorted(dict(amounts).items())}


def moment(microseconds: int | None) -> str | None:
    """Return a moment as RFC 3339 in UTC, or None."""
    return None if microseconds is None else to_moment(microseconds)
