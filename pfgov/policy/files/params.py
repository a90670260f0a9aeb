"""Typed constants of policies: which types there are, and whether a value is of one.

A param's type is written as text (``double``, ``list(string)``, ``map(string, int)``); its value
comes from YAML or from a set's document and is made exact here: an integer given for a double
becomes a double, a duration stays text such as ``15m``.  This module knows no expressions.
"""

import math
import re
from typing import Any, Final, cast

from pfgov.limits import INTEGER_MAX
from pfgov.policy.cel.types import (
    BOOL,
    DOUBLE,
    DURATION,
    INT,
    STRING,
    CelType,
    ListType,
    MapType,
    StringType,
)  # fmt: skip
from pfgov.policy.cel.values import Duration
from pfgov.policy.files.model import ParamValue
from pfgov.policy.limits import LIST_PARAM_MAX

SCALARS: Final[dict[str, CelType]] = {
    "bool": BOOL,
    "int": INT,
    "double": DOUBLE,
    "string": STRING,
    "duration": DURATION,
}
"""The types without parameters, by name."""

TYPE_NAMES: Final = (
    *SCALARS,
    *(f"list({name})" for name in ("string", "int", "double")),
    *(f"map(string, {name})" for name in ("string", "int", "double", "bool")),
)
"""Every type of a param, as it is written."""

_DURATION: Final = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_CONTAINER: Final = re.compile(r"(list)\((\w+)\)|(map)\(string, ?(\w+)\)")


class ParamError(ValueError):
    """The value is not of the type."""


def normal_type(text: str) -> str | None:
    """Return *text* as :data:`TYPE_NAMES` writes it, or None when it is no type."""
    squeezed = re.sub(r"\s+", "", text).replace(",", ", ")
    return squeezed if squeezed in TYPE_NAMES else None


def convert(type_name: str, value: object) -> ParamValue:
    """Return *value* exactly as a constant of this type.

    Raises:
        ParamError: It is of another type, not finite, or beyond a limit.
    """
    match = _CONTAINER.fullmatch(type_name)
    if match is None:
        return _scalar(type_name, value)
    if match[1]:
        if type(value) is not list or len(cast("list[object]", value)) > LIST_PARAM_MAX:
            raise ParamError(f"a list of at most {LIST_PARAM_MAX} items")
        return [_scalar(match[2], item) for item in cast("list[object]", value)]
    if type(value) is not dict or len(cast("dict[object, object]", value)) > LIST_PARAM_MAX:
        raise ParamError(f"a mapping of at most {LIST_PARAM_MAX} entries")
    entries = cast("dict[object, object]", value).items()
    return {str(key): _scalar(match[4], item) for key, item in entries}


def _scalar(type_name: str, value: object) -> ParamValue:
    match type_name, value:
        case "bool", bool():
            return value
        case "int", int() if type(value) is int and abs(value) <= INTEGER_MAX:
            return value
        case "double", int() | float() if type(value) is not bool and math.isfinite(value):
            return float(value)
        case "string", str():
            return value
        case "duration", str() if _DURATION.fullmatch(value):
            return value
        case _:
            raise ParamError(_WANTED[type_name])


_WANTED: Final = {
    "bool": "true or false",
    "int": "a whole number",
    "double": "a number",
    "string": "a text",
    "duration": "a duration such as 30s, 15m, 12h or 7d",
}


def cel_type(type_name: str, value: ParamValue) -> CelType:
    """Return the type that an expression sees, bounded by the constant itself."""
    if isinstance(value, list):
        longest = max((len(item) for item in value if isinstance(item, str)), default=0)
        inner = SCALARS[type_name[5:-1]]
        return ListType(StringType(longest) if inner is STRING else inner, max_items=len(value))
    if isinstance(value, dict):
        return MapType(STRING, SCALARS[type_name[12:-1]], max_items=len(value))
    if isinstance(value, str) and type_name == "string":
        return StringType(len(value))
    return SCALARS[type_name]


def cel_value(type_name: str, value: ParamValue) -> object:
    """Return the value that an expression sees."""
    if type_name == "duration" and isinstance(value, str):
        match = _DURATION.fullmatch(value)
        if match is None:  # pragma: no cover - convert() has refused it
            raise ParamError(_WANTED["duration"])
        return Duration(int(match[1]) * _SECONDS[match[2]] * 1_000_000_000)
    return value


def to_document(value: ParamValue) -> object:
    """Return *value* in the ledger's JSON profile: doubles as text, maps as sorted pairs."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return [to_document(item) for item in value]
    if isinstance(value, dict):
        return [[key, to_document(item)] for key, item in sorted(value.items())]
    return value


def from_document(type_name: str, value: Any) -> ParamValue:
    """Return the constant that :func:`to_document` wrote.

    Raises:
        ParamError: It is no such constant.
    """
    match = _CONTAINER.fullmatch(type_name)
    inner = (match[2] or match[4]) if match else type_name
    restored: object
    try:
        if match and match[3]:
            restored = {k: _restore(inner, v) for k, v in value}
        elif match:
            restored = [_restore(inner, item) for item in value]
        else:
            restored = _restore(inner, value)
    except (TypeError, ValueError):
        raise ParamError(f"not a {type_name}") from None
    return convert(type_name, restored)


def _restore(inner: str, value: object) -> object:
    if inner == "double":
        if not isinstance(value, str) or repr(float(value)) != value:
            raise ParamError("a double in its shortest text")
        return float(value)
    return value
