"""One fact of a case changed, or taken away: what a search for differences tries, without saying what is looked for."""

import re
from collections.abc import Iterator, Mapping
from typing import Final, cast

from pfgov.core.spelling import CLASS_PATTERN
from pfgov.core.verdicts import Point
from pfgov.policy.authoring import inputs
from pfgov.policy.authoring.testing.generate import Facts
from pfgov.policy.cel.times import format_timestamp
from pfgov.policy.cel.values import Timestamp

ABSENT: Final = object()
"""In place of a value: nothing is there."""

_CLASS: Final = re.compile(CLASS_PATTERN, re.ASCII)

_HOURS: Final = (0, 1, -1, 6, -6, 24, -24, 7 * 24, -7 * 24, 31 * 24, -31 * 24, 400 * 24, -400 * 24)
"""Hours from the time of a decision that rules about moments tell apart: of now, a day, a week, a month, a year."""


def plain(root: str, point: Point) -> Facts:
    """Return facts of *root* that stand in nobody's way: an operator asks, a member is there."""
    if root == "principal":
        return inputs.complete(root, {"rights": ["operator"]}, "operator")
    if root == "before" and point is Point.UPDATE:
        return inputs.complete(inputs.BEFORE_UPDATE, {}, "packet")
    return inputs.complete(root, {}, root)


def kin(word: str) -> tuple[str, ...]:
    """Return *word*, and what is within it where it can be a class: what is compared by a hierarchy has two sides."""
    return (word, f"{word}.other") if word and _CLASS.fullmatch(word) else (word,)


def as_label(value: object) -> str:
    """Return a value as the text of a label."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def moments(now: int) -> Iterator[str]:
    """Yield moments as a label has them, around *now* in microseconds."""
    for hours in _HOURS:
        yield format_timestamp(Timestamp((now + hours * 3_600_000_000) * 1_000))


def with_value(facts: Mapping[str, object], path: tuple[str, ...], value: object) -> Facts:
    """Return *facts* with *value* at *path*, or without anything there."""
    first, *rest = path
    made: Facts = dict(facts)
    if rest:
        inner = made.get(first)
        base = cast("Facts", inner) if isinstance(inner, dict) else Facts()
        made[first] = with_value(base, tuple(rest), value)
    elif value is ABSENT:
        made.pop(first, None)
    else:
        made[first] = value
        if first == "capabilities" and isinstance(value, list):
            names = [name for name in cast("list[object]", value) if isinstance(name, str)]
            made["capability_versions"] = dict.fromkeys(names, "")
    return made
