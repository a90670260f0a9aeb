"""How the formats write: compact JSON, one object a line, times as RFC 3339 in UTC with microseconds.

What an export says may be shown in a terminal: characters that would steer it are written as escapes.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def line(value: object) -> str:
    """Return *value* as one line of JSON; members stay in the order given."""
    return escaped(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def escaped(text: str) -> str:
    """Return *text*, one line of JSON, with what is not printable written as JSON's escapes, which mean the same."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _units(one) for one in text)


def _units(character: str) -> str:
    raw = character.encode("utf-16-be")
    return "".join(f"\\u{raw[at]:02x}{raw[at + 1]:02x}" for at in range(0, len(raw), 2))


def moment(microseconds: int) -> str:
    """Return RFC 3339 for microseconds since 1970."""
    at = _EPOCH + timedelta(microseconds=microseconds)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
