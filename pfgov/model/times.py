"""RFC 3339 moments and the ledger's integer microseconds.

Strict: a full date, ``T``, a full time, at most six fraction digits, ``Z`` or an offset.  Leap seconds are refused,
and so is everything outside 1970-2255, where a count of microseconds fits 2**53.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from pfgov.errors import InvalidError, StoreCorruptError
from pfgov.limits import INTEGER_MAX

_MOMENT: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
_YEAR: Final = r"(19[7-9][0-9]|2[01][0-9]{2}|22[0-4][0-9]|225[0-4])"
_LEAP: Final = (
    r"(19(7[26]|8[048]|9[26])|2[01](0[48]|[13579][26]|[2468][048])|2000"
    r"|22(0[48]|[13][26]|[24][048]|52))"
)
_DAY: Final = (
    rf"({_YEAR}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
    rf"|{_LEAP}-02-29)"
)
_TIME: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
DATE_TIME: Final = rf"^{_DAY}T{_TIME}(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
"""A pattern for JSON Schema that every moment of the years up to 2254 fits, whatever its offset, and no day that there
is not: with 31 days where a month has them, and 29 February in leap years alone.
"""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_microseconds(text: str) -> int:
    """Return the microseconds since the epoch that *text* (RFC 3339, section 5.6) stands for.

    >>> to_microseconds("2026-06-13T20:00:00Z")
    1781380800000000

    Raises:
        InvalidError: it is not such a moment, or not between 1970 and 2255.
    """
    found = _MOMENT.fullmatch(text)
    if not found:
        raise _not_a_moment(text)
    *fields, fraction, sign, hours, minutes = found.groups()
    try:
        moment = datetime(*map(int, fields), tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError:
        raise _not_a_moment(text) from None
    if sign:
        if int(hours) > 23 or int(minutes) > 59:
            raise _not_a_moment(text)
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        moment_us = (moment - _EPOCH) // timedelta(microseconds=1)
        moment_us -= (1 if sign == "+" else -1) * (offset // timedelta(microseconds=1))
    else:
        moment_us = (moment - _EPOCH) // timedelta(microseconds=1)
    moment_us += int((fraction or "0").ljust(6, "0"))
    if not 0 <= moment_us <= INTEGER_MAX:
        raise InvalidError(f"{text} is not between the years 1970 and 2255")
    return moment_us


def to_moment(microseconds: int) -> str:
    """Return *microseconds* since the epoch as RFC 3339 in UTC, without a zero fraction.

    >>> to_moment(1_781_380_800_000_000)
    '2026-06-13T20:00:00Z'

    Raises:
        StoreCorruptError: ``store.altered``, no calendar has it: what is stored went through
            :func:`to_microseconds`.
    """
    try:
        moment = _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError as error:
        raise StoreCorruptError(
            f"{microseconds} is no moment",
            code="store.altered",
            hint="see what was changed in the ledger's database: pfgov ledger doctor",
        ) from error
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _not_a_moment(text: str) -> InvalidError:
    return InvalidError(
        f"{text[:60]!r} is not a moment in RFC 3339 that is read here",
        hint="write a date, T, a time with at most six decimals, and Z or an offset: 2026-06-13T20:00:00Z;"
        " there are no leap seconds",
    )
