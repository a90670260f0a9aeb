"""``text.format(arguments)``: the one function with a language of its own.

Clauses ``%s %d %f %e %b %o %x %X %%`` and a precision (``%.3f``).  Source: cel-go
ext/strings, "Format", including its spelling of values inside ``%s``.
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import Final, cast

from pfgov.policy.cel.conversions import double_text, to_string
from pfgov.policy.cel.errors import CelError, WorkExceededError
from pfgov.policy.cel.limits import FORMAT_PRECISION, WORK_UNITS
from pfgov.policy.cel.times import format_duration, format_timestamp
from pfgov.policy.cel.values import (
    Duration,
    Timestamp,
    TypeValue,
    Uint,
    is_map,
    map_items,
    no_overload,
    type_name,
    written,
)  # fmt: skip

_CLAUSE: Final = re.compile(r"%(?:\.(\d{1,9}))?(.?)", re.DOTALL)


def format_(text: object, arguments: object) -> object:
    """``text.format([...])``.

    Raises:
        CelError: An unknown clause, too few arguments, or an argument of the wrong type.
    """
    if type(text) is not str or type(arguments) is not list:
        raise no_overload("format", text, arguments)
    values = iter(cast("list[object]", arguments))
    produced = 0

    def clause(match: re.Match[str]) -> str:
        nonlocal produced
        rendered = _render(match, values)
        produced += len(rendered)
        if produced > WORK_UNITS:
            raise WorkExceededError("format: the result is too large")
        return rendered

    return _CLAUSE.sub(clause, text)


def _render(match: re.Match[str], values: Iterator[object]) -> str:
    precision_text, verb = match.groups()
    if verb == "%" and precision_text is None:
        return "%"
    precision = 6 if precision_text is None else int(precision_text)
    if precision > FORMAT_PRECISION:
        raise CelError(f"format: precision above {FORMAT_PRECISION}")
    verbs = _VERBS.get(verb)
    if verbs is None:
        raise CelError(f"format: unrecognized formatting clause {written(match.group())}")
    try:
        value = next(values)
    except StopIteration:
        raise CelError("format: too few arguments") from None
    return verbs(value, precision)


def _wrong(verb: str, value: object) -> CelError:
    return CelError(f"format: %{verb} cannot take a {type_name(value)}", kind="type")


def _string(value: object, _precision: int = 6) -> str:
    if value is None:
        return "null"
    if isinstance(value, TypeValue):
        return value.name
    if type(value) is list:
        return f"[{', '.join(_string(part) for part in cast('list[object]', value))}]"
    if is_map(value):
        pairs = sorted(f"{_string(key)}: {_string(part)}" for key, part in map_items(value))
        return "{" + ", ".join(pairs) + "}"
    if type(value) is float:
        return _special(value) or double_text(value)
    if isinstance(value, Timestamp):
        return format_timestamp(value)
    if isinstance(value, Duration):
        return format_duration(value)
    try:
        return cast("str", to_string(value))
    except CelError:
        raise _wrong("s", value) from None


def _special(value: float) -> str | None:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return None


def _integer(verb: str, value: object) -> int:
    if type(value) is int:
        return value
    if isinstance(value, Uint):
        return value.value
    raise _wrong(verb, value)


def _decimal(value: object, _precision: int) -> str:
    if type(value) is float:
        special = _special(value)
        if special is not None:
            return special
    return str(_integer("d", value))


def _float(verb: str) -> Callable[[object, int], str]:
    def render(value: object, precision: int) -> str:
        if type(value) is int or isinstance(value, Uint):
            value = float(_integer(verb, value))
        if type(value) is not float:
            raise _wrong(verb, value)
        return _special(value) or f"{value:.{precision}{verb}}"

    return render


def _binary(value: object, _precision: int) -> str:
    if type(value) is bool:
        return "1" if value else "0"
    return f"{_integer('b', value):b}"


def _octal(value: object, _precision: int) -> str:
    return f"{_integer('o', value):o}"


def _hexadecimal(verb: str) -> Callable[[object, int], str]:
    def render(value: object, _precision: int) -> str:
        if type(value) is str:
            text = value.encode("utf-8", "surrogatepass").hex()
        elif type(value) is bytes:
            text = value.hex()
        else:
            text = f"{_integer(verb, value):x}"
        return text.upper() if verb == "X" else text

    return render


_VERBS: Final[dict[str, Callable[[object, int], str]]] = {
    "s": _string,
    "d": _decimal,
    "f": _float("f"),
    "e": _float("e"),
    "b": _binary,
    "o": _octal,
    "x": _hexadecimal("x"),
    "X": _hexadecimal("X"),
}
