"""Timestamps and durations: their text, and their parts.

Integer nanoseconds throughout; ``datetime`` only for the calendar.  Parsing is strict
RFC 3339 (section 5.6), never a guess: cel-python takes ``"2026"`` for a timestamp.
Fixed UTC offsets are understood here; time zones with names are a question for the
machine's tables and only serve environments that allow them.
"""

import calendar
import datetime as dt
import re
import zoneinfo
from collections.abc import Callable
from typing import Final

from pfgov.policy.cel.errors import CelError
from pfgov.policy.cel.numbers import duration, timestamp
from pfgov.policy.cel.values import Duration, Timestamp, no_overload

_RFC3339: Final = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?"
    r"(?:([Zz])|([+-])(\d{2}):(\d{2}))",
    re.ASCII,
)
_OFFSET: Final = re.compile(r"([+-]?)(\d{2}):(\d{2})", re.ASCII)
_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_UNITS: Final = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6,
    "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SECOND: Final = 10**9


def parse_timestamp(text: str) -> Timestamp:
    """Read an RFC 3339 timestamp.

    Raises:
        CelError: It is not one, or is outside the years 1 to 9999.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise CelError("not an RFC 3339 timestamp")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    if year == 0:
        raise CelError("timestamp overflow: outside the years 0001 to 9999")
    fraction, _zulu, sign, offset_hours, offset_minutes = match.groups()[6:]
    wrong = _wrong_part(year, month, day, hour, minute, second)
    if wrong is not None:
        raise CelError(f"not an RFC 3339 timestamp: {wrong}")
    moment = dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)
    seconds = (moment - _EPOCH) // dt.timedelta(seconds=1)
    if sign:
        seconds -= _offset_seconds(sign, int(offset_hours), int(offset_minutes))
    return timestamp(seconds * _SECOND + int((fraction or "0").ljust(9, "0")))


def _wrong_part(year: int, month: int, day: int, hour: int, minute: int, second: int) -> str | None:
    """What is wrong with a date or a time of day; in our words, because a reason is recorded and Python's change."""
    if not 1 <= month <= 12:
        return "month must be in 1..12"
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        return "day is out of range for month"
    if hour > 23:
        return "hour must be in 0..23"
    if minute > 59:
        return "minute must be in 0..59"
    return "second must be in 0..59" if second > 59 else None


def _offset_seconds(sign: str, hours: int, minutes: int) -> int:
    if hours > 23 or minutes > 59:
        raise CelError("not a UTC offset")
    seconds = hours * 3600 + minutes * 60
    return -seconds if sign == "-" else seconds


def format_timestamp(value: Timestamp) -> str:
    """Render as RFC 3339 in UTC, with as many fractional digits as needed."""
    seconds, nanos = divmod(value.ns, _SECOND)
    moment = _EPOCH + dt.timedelta(seconds=seconds)
    text = (
        f"{moment.year:04}-{moment.month:02}-{moment.day:02}"
        f"T{moment.hour:02}:{moment.minute:02}:{moment.second:02}"
    )
    return f"{text}{_fraction(nanos)}Z"


def _fraction(nanos: int) -> str:
    return f".{nanos:09}".rstrip("0") if nanos else ""


def parse_duration(text: str) -> Duration:
    """Read a duration such as ``1h30m``, ``-1.5s`` or ``250ms`` (Go's syntax).

    Raises:
        CelError: It is not one, or is too long.
    """
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if body == "0":
        return Duration(0)
    total = position = 0
    while position < len(body):
        match = _PART.match(body, position)
        if match is None:
            raise CelError("not a duration")
        number, unit = match.groups()
        whole, _, fraction = number.partition(".")
        total += int(whole or "0") * _UNITS[unit]
        if fraction:
            total += int(fraction) * _UNITS[unit] // 10 ** len(fraction)
        position = match.end()
    if not body:
        raise CelError("not a duration")
    return duration(sign * total)


def format_duration(value: Duration) -> str:
    """Render in seconds, such as ``5400s`` or ``-1.5s``."""
    seconds, nanos = divmod(abs(value.ns), _SECOND)
    return f"{'-' if value.ns < 0 else ''}{seconds}{_fraction(nanos)}s"


# --- parts ----------------------------------------------------------------------------------

NAMED_ZONE: Final = "a named time zone depends on the machine's tables; use an offset like +02:00"


def is_fixed_zone(zone: str) -> bool:
    """Whether *zone* is UTC or a fixed offset."""
    return zone in ("UTC", "Z") or _OFFSET.fullmatch(zone) is not None


def _moment(value: Timestamp, zone: str) -> dt.datetime:
    seconds = value.ns // _SECOND
    match = _OFFSET.fullmatch(zone)
    try:
        if match is not None:
            seconds += _offset_seconds(match[1], int(match[2]), int(match[3]))
            return _EPOCH + dt.timedelta(seconds=seconds)
        moment = _EPOCH + dt.timedelta(seconds=seconds)
        return moment if zone in ("UTC", "Z") else moment.astimezone(zoneinfo.ZoneInfo(zone))
    except OverflowError:
        raise CelError("no such time zone or date: date value out of range") from None
    except (ValueError, KeyError, OSError) as error:  # of a zone by name, which no policy can use
        raise CelError(f"no such time zone or date: {error}") from None


def _timestamp_part(
    name: str, part: Callable[[dt.datetime], int], *, named_zones: bool
) -> Callable[..., object]:
    def read(value: object, zone: object = "UTC") -> object:
        if not isinstance(value, Timestamp) or type(zone) is not str:
            raise no_overload(name, value, zone)
        if not named_zones and not is_fixed_zone(zone):
            raise CelError(NAMED_ZONE)
        return part(_moment(value, zone))

    return read


def _duration_part(whole: int, name: str, timestamps: Callable[..., object]) -> Callable[..., object]:  # fmt: skip
    def read(value: object, *zone: object) -> object:
        if not isinstance(value, Duration):
            return timestamps(value, *zone)
        if zone:
            raise no_overload(name, value, *zone)
        return _toward_zero(value.ns, whole)

    return read


def _toward_zero(value: int, divisor: int) -> int:
    return value // divisor if value >= 0 else -(-value // divisor)


def _milliseconds(*, named_zones: bool) -> Callable[..., object]:
    def read(value: object, zone: object = "UTC") -> object:
        if isinstance(value, Duration) and zone == "UTC":
            # cel-spec: of a duration, the part below a second.
            return (
                _toward_zero(value.ns, 10**6) % 1000
                if value.ns >= 0
                else -(-value.ns // 10**6 % 1000)
            )
        if not isinstance(value, Timestamp) or type(zone) is not str:
            raise no_overload("getMilliseconds", value, zone)
        if not named_zones and not is_fixed_zone(zone):
            raise CelError(NAMED_ZONE)
        _moment(value, zone)  # an impossible zone is an error even where it does not matter
        return value.ns % _SECOND // 10**6

    return read


def accessors(*, named_zones: bool) -> dict[str, Callable[..., object]]:
    """The functions ``getFullYear`` ... ``getMilliseconds``."""

    def part(name: str, read: Callable[[dt.datetime], int]) -> Callable[..., object]:
        return _timestamp_part(name, read, named_zones=named_zones)

    return {
        "getFullYear": part("getFullYear", lambda t: t.year),
        "getMonth": part("getMonth", lambda t: t.month - 1),
        "getDate": part("getDate", lambda t: t.day),
        "getDayOfMonth": part("getDayOfMonth", lambda t: t.day - 1),
        "getDayOfWeek": part("getDayOfWeek", lambda t: t.isoweekday() % 7),
        "getDayOfYear": part("getDayOfYear", lambda t: t.timetuple().tm_yday - 1),
        "getHours": _duration_part(3600 * _SECOND, "getHours", part("getHours", lambda t: t.hour)),
        "getMinutes": _duration_part(
            60 * _SECOND, "getMinutes", part("getMinutes", lambda t: t.minute)
        ),
        "getSeconds": _duration_part(_SECOND, "getSeconds", part("getSeconds", lambda t: t.second)),
        "getMilliseconds": _milliseconds(named_zones=named_zones),
    }
