"""What rules ask that is not compared with a fact as it stands: how long it is, which pattern it has, what time it is.

A search for differences sets facts to what is named here; what is looked for, and at which facts, it knows itself.
"""

import importlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pfgov.policy.authoring.testing.generate import constants_of
from pfgov.policy.cel import CelError, ir
from pfgov.policy.cel.possible import walk
from pfgov.policy.cel.times import parse_timestamp
from pfgov.policy.cel.types import CelType, ListType, StringType
from pfgov.policy.cel.values import Timestamp

FactPath = tuple[str, ...]

LENGTH_MAX: Final = 512
"""Longest text, and list, that is made because a rule asks how long one is."""

REPEATED_MAX: Final = 64
"""So often what a pattern repeats is written out."""

_SECOND: Final = 1_000_000


def _nodes(roots: Iterable[ir.Node]) -> Iterator[ir.Node]:
    for root in roots:
        for node in walk(root):
            yield node
            if isinstance(node, ir.Named):
                yield from _nodes([node.expression.root])


def lengths(roots: Sequence[ir.Node]) -> Mapping[FactPath, tuple[int, ...]]:
    """Return which facts *roots* ask the size of, and the sizes that stand there with their neighbours."""
    numbers = constants_of(roots).numbers
    asked = tuple(sorted({int(n) for n in numbers if n == int(n) and 0 <= n <= LENGTH_MAX}))
    calls = (node for node in _nodes(roots) if isinstance(node, ir.Call))
    paths = (ir.path_of(one.arguments[0]) for one in calls if one.function.name == "size")
    return {path: asked for path in paths if path is not None}


def of_length(kind: CelType, count: int, first: str) -> list[object]:
    """Return a value of that size, if the type has any so long: in a list *first* comes first."""
    match kind:
        case StringType(max_length=most, allowed=None) if most is None or count <= most:
            return ["a" * count]
        case ListType(elem=StringType(allowed=None), max_items=most) if (
            most is None or count <= most
        ):
            return [[first, *(f"a{number}" for number in range(count))][:count]]
        case _:
            return []


def times(roots: Sequence[ir.Node]) -> list[int]:
    """Return the moments that stand in *roots*, each a second before and after it, in microseconds."""
    found: list[int] = []
    for node in _nodes(roots):
        value = node.value if isinstance(node, ir.Const) else None
        try:
            moment = parse_timestamp(value) if isinstance(value, str) else value
        except CelError:
            continue
        if isinstance(moment, Timestamp):
            micros = moment.ns // 1_000
            found += [at for at in (micros - _SECOND, micros + _SECOND) if at >= 0]
    return list(dict.fromkeys(found))


def texts(roots: Sequence[ir.Node]) -> list[str]:
    """Return texts that have the patterns in *roots*, of each one that is short and one that is longer."""
    found: list[str] = []
    for node in _nodes(roots):
        if isinstance(node, ir.Call) and node.function.name == "matches":
            pattern = node.arguments[-1]
            if isinstance(pattern, ir.Const) and isinstance(pattern.value, str):
                found += _having(pattern.value)
    return list(dict.fromkeys(found))


def _having(pattern: str) -> Iterator[str]:
    """Yield texts that have *pattern*, where Python reads it as RE2 does; else what is yielded shows nothing."""
    parser: Any = importlib.import_module("re._parser")  # what `re` itself reads patterns with
    try:
        parsed = parser.parse(pattern)
    except (re.error, OverflowError, RecursionError):
        return
    for way in (0, 1):
        text = _written(parsed, way)
        if len(text) <= LENGTH_MAX:
            yield text


def _written(parsed: Any, way: int) -> str:
    text = ""
    for operation, argument in parsed:
        match str(operation):
            case "LITERAL":
                text += chr(argument)
            case "ANY":
                text += "a"
            case "NOT_LITERAL":
                text += "b" if chr(argument) == "a" else "a"
            case "IN":
                text += next((c for c in _candidates(argument) if _is_in(argument, c)), "")
            case "SUBPATTERN":
                text += _written(argument[-1], way)
            case "BRANCH":
                text += _written(argument[1][way % len(argument[1])], way)
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, part = argument
                piece = _written(part, way)
                fitting = LENGTH_MAX // max(1, len(piece)) + 1
                text += piece * min(least + way, int(most), REPEATED_MAX, fitting)
            case _:
                pass
        if len(text) > LENGTH_MAX:
            break
    return text


def _candidates(items: Any) -> Iterator[str]:
    for operation, argument in items:
        if str(operation) in {"LITERAL", "RANGE"}:
            yield chr(argument if str(operation) == "LITERAL" else argument[0])
    yield from "a0A-_ .z9Z"


def _is_in(items: Any, character: str) -> bool:
    is_negated, found = False, False
    for operation, argument in items:
        match str(operation):
            case "NEGATE":
                is_negated = True
            case "LITERAL":
                found = found or chr(argument) == character
            case "RANGE":
                found = found or argument[0] <= ord(character) <= argument[1]
            case _:
                found = found or _CATEGORIES.get(str(argument), "").find(character) >= 0
    return found is not is_negated


_CATEGORIES: Final[Mapping[str, str]] = {
    "CATEGORY_DIGIT": "09", "CATEGORY_WORD": "a0A_z9Z", "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_DIGIT": "aA-_ .zZ", "CATEGORY_NOT_WORD": "- .", "CATEGORY_NOT_SPACE": "a0A-_.z9Z",
}  # fmt: skip
"""Which of the candidates are of a class of characters."""
