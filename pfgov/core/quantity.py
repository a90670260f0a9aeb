"""Exact quantities: decimal text at the border, integer micro-units inside.

The ledger's JSON has no floats (``ledger/FORMAT.md``): a real number is a decimal string with at most six
fraction digits, and excess digits are refused, never rounded.  Inside the engine every such number is an
integer count of millionths, so that comparison and arithmetic are exact in every language that verifies.
"""

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from pfgov.errors import InvalidError
from pfgov.limits import MICRO, QUANTITY_MAX

_NUMBER = re.compile(r"-?[0-9]{1,64}(\.[0-9]{1,64})?", re.ASCII)
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{0,5}[1-9])?", re.ASCII)


def to_micro(value: float | str | Decimal, *, pointer: str | None = None) -> int:
    """Return *value* in millionths.

    Accepts what JSON and YAML readers produce.  A float is read as its shortest decimal text, which is
    what its author typed.

    Raises:
        InvalidError: not a finite number, more than six fraction digits, or beyond nine whole digits.
    """
    exact = _exact(value, pointer)
    if not exact.is_finite():
        raise InvalidError(f"{value!s} is not a finite number", pointer=pointer)
    if exact.copy_abs() >= QUANTITY_MAX + 1:
        raise InvalidError(
            f"{value!s} has a whole part beyond {QUANTITY_MAX}",
            code="input.too_large",
            pointer=pointer,
        )
    # whole arithmetic on the digits: operators of Decimal would round at the context's 28
    sign, digits, exponent = exact.as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    shift = int(exponent) + 6 + len(digits) - len(text)
    if not text:
        return 0
    if shift < 0:
        raise InvalidError(
            f"{value!s} has more than six digits after the point",
            hint="round it yourself: pfgov never rounds a score or a capacity",
            pointer=pointer,
        )
    micro = int(text + "0" * shift)
    return -micro if sign else micro


def _exact(value: float | str | Decimal, pointer: str | None) -> Decimal:
    """Return *value* as the decimal that its author typed."""
    if isinstance(value, bool) or (isinstance(value, str) and not _NUMBER.fullmatch(value)):
        raise InvalidError(f"{value!r} is not a number", pointer=pointer)
    try:
        return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except (InvalidOperation, ValueError, TypeError):
        raise InvalidError(f"{value!r} is not a number", pointer=pointer) from None


@lru_cache(maxsize=65_536)
def to_text(micro: int) -> str:
    """Return the canonical decimal string of *micro* millionths.

    >>> to_text(950_000), to_text(-1_500_000), to_text(0)
    ('0.95', '-1.5', '0')
    """
    sign = "-" if micro < 0 else ""
    whole, fraction = divmod(abs(micro), MICRO)
    if not fraction:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:06d}".rstrip("0")


@lru_cache(maxsize=65_536)
def from_text(text: str) -> int:
    """Return the millionths that a canonical decimal string stands for.

    Raises:
        InvalidError: *text* is not in the canonical form that :func:`to_text` writes.
    """
    if not _DECIMAL.fullmatch(text) or text == "-0":
        raise InvalidError(f"{text!r} is not a canonical decimal")
    whole, _, fraction = text.lstrip("-").partition(".")
    micro = int(whole) * MICRO + int(fraction.ljust(6, "0"))
    return -micro if text.startswith("-") else micro


def to_float(micro: int) -> float:
    """Return the double nearest to *micro* millionths: what a policy's fact holds."""
    return micro / MICRO
