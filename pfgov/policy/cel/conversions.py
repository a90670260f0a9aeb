"""Conversions between types: ``int() uint() double() string() bytes() bool() dyn() type()``
and ``timestamp() duration()``.

Source: CEL language definition, "Standard definitions"; ranges are checked, text is
parsed strictly.  Knows values only.
"""

import base64
import binascii
import math
import re
from decimal import Decimal
from typing import Final

from pfgov.policy.cel.errors import CelError
from pfgov.policy.cel.limits import INT_MAX, INT_MIN, UINT_MAX
from pfgov.policy.cel.numbers import int64, timestamp, uint64
from pfgov.policy.cel.times import (
    format_duration,
    format_timestamp,
    parse_duration,
    parse_timestamp,
)  # fmt: skip
from pfgov.policy.cel.values import Duration, Timestamp, Uint, no_overload, type_of

_INTEGER: Final = re.compile(r"[+-]?\d+", re.ASCII)
_DOUBLE: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SPECIAL: Final = {
    "nan": math.nan, "inf": math.inf, "+inf": math.inf, "-inf": -math.inf,
    "infinity": math.inf, "+infinity": math.inf, "-infinity": -math.inf,
}  # fmt: skip
_BOOLS: Final = {
    "1": True, "t": True, "T": True, "true": True, "TRUE": True, "True": True,
    "0": False, "f": False, "F": False, "false": False, "FALSE": False, "False": False,
}  # fmt: skip


def to_int(value: object) -> object:
    """``int(x)``: doubles truncate, timestamps become seconds."""
    if type(value) is int:
        return value
    if isinstance(value, Uint):
        return int64(value.value)
    if type(value) is float:
        if not math.isfinite(value) or not INT_MIN < value < INT_MAX:
            raise CelError("integer overflow: outside the signed 64-bit range")
        return int(value)
    if type(value) is str:
        if _INTEGER.fullmatch(value) is None or len(value) > 64:
            raise CelError("not an integer")
        return int64(int(value))
    if isinstance(value, Timestamp):
        return value.ns // 10**9
    if isinstance(value, Duration):
        return value.ns // 10**9
    raise no_overload("int", value)


def to_uint(value: object) -> object:
    """``uint(x)``: doubles truncate."""
    if isinstance(value, Uint):
        return value
    if type(value) is int:
        return uint64(value)
    if type(value) is float:
        if not math.isfinite(value) or not -1 < value < UINT_MAX:
            raise CelError("unsigned integer overflow")
        return uint64(int(value))
    if type(value) is str:
        text = value
        if not (text.isascii() and text.isdigit() and len(text) <= 64):
            raise CelError("not an unsigned integer")
        return uint64(int(text))
    raise no_overload("uint", value)


def to_double(value: object) -> object:
    """``double(x)``."""
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    if isinstance(value, Uint):
        return float(value.value)
    if type(value) is str:
        special = _SPECIAL.get(value.lower())
        if special is not None:
            return special
        if _DOUBLE.fullmatch(value) is None:
            raise CelError("not a number")
        return float(value)
    raise no_overload("double", value)


def to_string(value: object) -> object:
    """``string(x)``."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(value)
    if isinstance(value, Uint):
        return str(value.value)
    if type(value) is float:
        return double_text(value)
    if type(value) is bytes:
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise CelError("invalid UTF-8") from None
    if isinstance(value, Timestamp):
        return format_timestamp(value)
    if isinstance(value, Duration):
        return format_duration(value)
    raise no_overload("string", value)


def double_text(value: float) -> str:
    """The shortest text that reads back as *value*, with an exponent below -4 or from 21 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    if 1e-4 <= abs(value) < 1e21:
        text = f"{Decimal(repr(value)):f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa.removesuffix('.0')}e{exponent}"


def to_bytes(value: object) -> object:
    """``bytes(x)``: the UTF-8 of a string."""
    if type(value) is bytes:
        return value
    if type(value) is str:
        try:
            return value.encode("utf-8")
        except UnicodeEncodeError:
            raise CelError("not a Unicode string: it holds half of a surrogate pair") from None
    raise no_overload("bytes", value)


def to_bool(value: object) -> object:
    """``bool(x)``: of a string, one of Go's twelve spellings."""
    if type(value) is bool:
        return value
    if type(value) is str:
        found = _BOOLS.get(value)
        if found is None:
            raise CelError("not a bool")
        return found
    raise no_overload("bool", value)


def to_timestamp(value: object) -> object:
    """``timestamp(x)``: RFC 3339 text, or seconds since 1970."""
    if isinstance(value, Timestamp):
        return value
    if type(value) is str:
        return parse_timestamp(value)
    if type(value) is int:
        return timestamp(value * 10**9)
    raise no_overload("timestamp", value)


def to_duration(value: object) -> object:
    """``duration(x)``: text such as ``1h30m``."""
    if isinstance(value, Duration):
        return value
    if type(value) is str:
        return parse_duration(value)
    raise no_overload("duration", value)


def to_dyn(value: object) -> object:
    """``dyn(x)``: the same value; only the checker forgets its type."""
    type_of(value)
    return value


def to_type(value: object) -> object:
    """``type(x)``."""
    return type_of(value)


def base64_encode(value: object) -> object:
    """``base64.encode(bytes)``."""
    if type(value) is not bytes:
        raise no_overload("base64.encode", value)
    return base64.b64encode(value).decode("ascii")


def base64_decode(value: object) -> object:
    """``base64.decode(text)``: padding may be missing."""
    if type(value) is not str:
        raise no_overload("base64.decode", value)
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise CelError("not base64") from None
