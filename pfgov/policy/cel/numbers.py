"""Arithmetic and ordering on CEL values, and the math extension.

Python's numbers do more than CEL's: a bool is an int, ints never overflow, division
floors, and mixed operands convert.  Every operation here dispatches on *exact* types
and raises :class:`CelError` where CEL has no overload or no value.  Sources: CEL
language definition, "Arithmetic" and "Ordering"; cel-go ext/math.
"""

import math
from collections.abc import Callable
from typing import Final, cast

from pfgov.policy.cel.errors import CelError
from pfgov.policy.cel.limits import INT_MAX, INT_MIN, UINT_MAX
from pfgov.policy.cel.values import (
    Duration,
    Timestamp,
    Uint,
    equal,
    no_overload,
)  # fmt: skip

_ORDERED: Final = frozenset({int, float, str, bytes, bool, Uint, Timestamp, Duration})
_NUMERIC: Final = frozenset({int, float, Uint})

TIMESTAMP_MIN: Final = -62_135_596_800 * 10**9
"""0001-01-01T00:00:00Z."""

TIMESTAMP_MAX: Final = 253_402_300_800 * 10**9 - 1
"""9999-12-31T23:59:59.999999999Z."""

DURATION_MAX: Final = INT_MAX
"""About 292 years: a duration is a 64-bit count of nanoseconds, as in cel-go."""


def int64(value: int) -> int:
    """*value*, if it is a 64-bit integer.

    Raises:
        CelError: It overflows.
    """
    if INT_MIN <= value <= INT_MAX:
        return value
    raise CelError("integer overflow")


def uint64(value: int) -> Uint:
    """*value* as an unsigned integer.

    Raises:
        CelError: It overflows.
    """
    if 0 <= value <= UINT_MAX:
        return Uint(value)
    raise CelError("unsigned integer overflow")


def timestamp(ns: int) -> Timestamp:
    """The timestamp at *ns* nanoseconds since 1970.

    Raises:
        CelError: It is outside the years 1 to 9999.
    """
    if TIMESTAMP_MIN <= ns <= TIMESTAMP_MAX:
        return Timestamp(ns)
    raise CelError("timestamp overflow: outside the years 0001 to 9999")


def duration(ns: int) -> Duration:
    """The duration of *ns* nanoseconds.

    Raises:
        CelError: It is longer than about 292 years.
    """
    if -DURATION_MAX - 1 <= ns <= DURATION_MAX:
        return Duration(ns)
    raise CelError("duration overflow: more than 292 years")


# --- arithmetic -----------------------------------------------------------------------------


def add(left: object, right: object) -> object:
    """``left + right``."""
    if type(left) is type(right):
        if type(left) is int:
            return int64(left + cast("int", right))
        if type(left) is float or type(left) is str or type(left) is bytes or type(left) is list:
            return left + right  # type: ignore[operator]
        if isinstance(left, Uint):
            return uint64(left.value + cast("Uint", right).value)
        if isinstance(left, Duration):
            return duration(left.ns + cast("Duration", right).ns)
    if isinstance(left, Timestamp) and isinstance(right, Duration):
        return timestamp(left.ns + right.ns)
    if isinstance(left, Duration) and isinstance(right, Timestamp):
        return timestamp(left.ns + right.ns)
    raise no_overload("_+_", left, right)


def subtract(left: object, right: object) -> object:
    """``left - right``."""
    if type(left) is type(right):
        if type(left) is int:
            return int64(left - cast("int", right))
        if type(left) is float:
            return left - cast("float", right)
        if isinstance(left, Uint):
            return uint64(left.value - cast("Uint", right).value)
        if isinstance(left, (Duration, Timestamp)):
            return duration(left.ns - cast("Duration", right).ns)
    if isinstance(left, Timestamp) and isinstance(right, Duration):
        return timestamp(left.ns - right.ns)
    raise no_overload("_-_", left, right)


def multiply(left: object, right: object) -> object:
    """``left * right``."""
    if type(left) is type(right):
        if type(left) is int:
            return int64(left * cast("int", right))
        if type(left) is float:
            return left * cast("float", right)
        if isinstance(left, Uint):
            return uint64(left.value * cast("Uint", right).value)
    raise no_overload("_*_", left, right)


def divide(left: object, right: object) -> object:
    """``left / right``: integers truncate toward zero, doubles follow IEEE 754."""
    if type(left) is type(right):
        if type(left) is int:
            return int64(_truncated(left, cast("int", right)))
        if type(left) is float:
            return _ieee_divide(left, cast("float", right))
        if isinstance(left, Uint):
            return Uint(_truncated(left.value, cast("Uint", right).value))
    raise no_overload("_/_", left, right)


def modulo(left: object, right: object) -> object:
    """``left % right``: the sign of the result is the sign of *left*."""
    if type(left) is type(right):
        if type(left) is int:
            # int64() refuses INT_MIN % -1, whose quotient overflows, as cel-go and cel-cpp do.
            quotient = int64(_truncated(left, cast("int", right), "modulus"))
            return left - quotient * cast("int", right)
        if isinstance(left, Uint):
            divisor = cast("Uint", right).value
            return Uint(left.value - _truncated(left.value, divisor, "modulus") * divisor)
    raise no_overload("_%_", left, right)


def _truncated(left: int, right: int, what: str = "divide") -> int:
    if right == 0:
        raise CelError(f"{what} by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _ieee_divide(left: float, right: float) -> float:
    if right != 0.0:
        return left / right
    if left == 0.0 or left != left:  # noqa: PLR0124 -- NaN is the only value unequal to itself
        return math.nan
    return math.inf if (left > 0) == (math.copysign(1.0, right) > 0) else -math.inf


def negate(operand: object) -> object:
    """``-operand``."""
    if type(operand) is int:
        return int64(-operand)
    if type(operand) is float:
        return -operand
    if isinstance(operand, Duration):
        return duration(-operand.ns)
    raise no_overload("-_", operand)


def logical_not(operand: object) -> object:
    """``!operand``."""
    if type(operand) is bool:
        return not operand
    raise no_overload("!_", operand)


# --- ordering -------------------------------------------------------------------------------


def less(left: object, right: object) -> object:
    """``left < right``."""
    if type(left) is type(right) and type(left) in _ORDERED:
        return left < right  # type: ignore[operator]
    a, b = _mixed("_<_", left, right)
    return a < b


def less_equal(left: object, right: object) -> object:
    """``left <= right``."""
    if type(left) is type(right) and type(left) in _ORDERED:
        return left <= right  # type: ignore[operator]
    a, b = _mixed("_<=_", left, right)
    return a <= b


def greater(left: object, right: object) -> object:
    """``left > right``."""
    if type(left) is type(right) and type(left) in _ORDERED:
        return left > right  # type: ignore[operator]
    a, b = _mixed("_>_", left, right)
    return a > b


def greater_equal(left: object, right: object) -> object:
    """``left >= right``."""
    if type(left) is type(right) and type(left) in _ORDERED:
        return left >= right  # type: ignore[operator]
    a, b = _mixed("_>=_", left, right)
    return a >= b


def _mixed(operation: str, left: object, right: object) -> tuple[float, float]:
    """Two numbers of different types, comparable: beside a double, an integer becomes one."""
    if type(left) not in _NUMERIC or type(right) not in _NUMERIC:
        raise no_overload(operation, left, right)
    a = left.value if isinstance(left, Uint) else cast("float", left)
    b = right.value if isinstance(right, Uint) else cast("float", right)
    if type(a) is type(b):
        return a, b
    return float(a), float(b)


def equals(left: object, right: object) -> object:
    """``left == right``."""
    return equal(left, right)


def differs(left: object, right: object) -> object:
    """``left != right``."""
    return not equal(left, right)


# --- the math extension ---------------------------------------------------------------------


def _numbers(operation: str, values: tuple[object, ...]) -> list[object]:
    if len(values) == 1 and type(values[0]) is list:
        values = tuple(cast("list[object]", values[0]))
        if not values:
            raise CelError(f"{operation} of an empty list")
    for value in values:
        if type(value) not in _NUMERIC:
            raise no_overload(operation, *values)
    return list(values)


def greatest(*values: object) -> object:
    """``math.greatest``: of equal candidates, the first."""
    first, *rest = _numbers("math.greatest", values)
    for value in rest:
        if greater(value, first):
            first = value
    return first


def least(*values: object) -> object:
    """``math.least``: of equal candidates, the first."""
    first, *rest = _numbers("math.least", values)
    for value in rest:
        if less(value, first):
            first = value
    return first


def _double(name: str, function: Callable[[float], float]) -> Callable[[object], object]:
    def rounded(value: object) -> object:
        if type(value) is not float:
            raise no_overload(name, value)
        if not math.isfinite(value):
            return value
        return math.copysign(float(function(value)), value)

    return rounded


def _half_away(value: float) -> float:
    whole = math.floor(abs(value))
    return whole + 1 if abs(value) - whole >= 0.5 else whole


ceil: Final = _double("math.ceil", math.ceil)
floor: Final = _double("math.floor", math.floor)
trunc: Final = _double("math.trunc", math.trunc)
round_half_away: Final = _double("math.round", _half_away)


def _property(name: str, function: Callable[[float], bool]) -> Callable[[object], object]:
    def holds(value: object) -> object:
        if type(value) is not float:
            raise no_overload(name, value)
        return function(value)

    return holds


is_nan: Final = _property("math.isNaN", math.isnan)
is_inf: Final = _property("math.isInf", math.isinf)
is_finite: Final = _property("math.isFinite", math.isfinite)


def absolute(value: object) -> object:
    """``math.abs``."""
    if type(value) is int:
        return int64(abs(value))
    if type(value) is float:
        return abs(value)
    if isinstance(value, Uint):
        return value
    raise no_overload("math.abs", value)


def sign(value: object) -> object:
    """``math.sign``: -1, 0 or 1, of the same type."""
    if type(value) is int:
        return (value > 0) - (value < 0)
    if type(value) is float:
        return value if math.isnan(value) else float((value > 0) - (value < 0))
    if isinstance(value, Uint):
        return Uint(1 if value.value else 0)
    raise no_overload("math.sign", value)


def square_root(value: object) -> object:
    """``math.sqrt``: NaN of a negative number."""
    if type(value) not in _NUMERIC:
        raise no_overload("math.sqrt", value)
    number = float(value.value if isinstance(value, Uint) else cast("float", value))
    return math.sqrt(number) if number >= 0 else math.nan


def _bitwise(name: str, function: Callable[[int, int], int]) -> Callable[[object, object], object]:
    def combined(left: object, right: object) -> object:
        if type(left) is int and type(right) is int:
            return function(left, right)
        if isinstance(left, Uint) and isinstance(right, Uint):
            return Uint(function(left.value, right.value))
        raise no_overload(name, left, right)

    return combined


bit_and: Final = _bitwise("math.bitAnd", int.__and__)
bit_or: Final = _bitwise("math.bitOr", int.__or__)
bit_xor: Final = _bitwise("math.bitXor", int.__xor__)


def bit_not(value: object) -> object:
    """``math.bitNot``."""
    if type(value) is int:
        return ~value
    if isinstance(value, Uint):
        return Uint(value.value ^ UINT_MAX)
    raise no_overload("math.bitNot", value)


def shift_left(value: object, by: object) -> object:
    """``math.bitShiftLeft``: bits that leave the word are lost."""
    bits = _shift("math.bitShiftLeft", value, by)
    if isinstance(value, Uint):
        return Uint((value.value << bits) & UINT_MAX)
    return _wrapped(cast("int", value) << bits)


def shift_right(value: object, by: object) -> object:
    """``math.bitShiftRight``: logical, zeros enter from the left."""
    bits = _shift("math.bitShiftRight", value, by)
    if isinstance(value, Uint):
        return Uint(value.value >> bits)
    return _wrapped((cast("int", value) & UINT_MAX) >> bits)


def _shift(name: str, value: object, by: object) -> int:
    if type(by) is not int or (type(value) is not int and not isinstance(value, Uint)):
        raise no_overload(name, value, by)
    if by < 0:
        raise CelError(f"{name}: negative offset")
    return min(by, 64)


def _wrapped(value: int) -> int:
    value &= UINT_MAX
    return value - 2**64 if value > INT_MAX else value
