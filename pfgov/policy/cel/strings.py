"""Functions on strings: the standard ones, RE2 matching and the strings extension.

Positions and sizes count code points.  Arguments are checked by exact type; anything
else is "no such overload".  Sources: CEL language definition, "String functions";
cel-go ext/strings.  ``format`` lives in :mod:`pfgov.policy.cel.formatting`.
"""

import functools
from typing import Any, Final, cast

import re2 as _re2

from pfgov.policy.cel.errors import CelError, WorkExceededError
from pfgov.policy.cel.limits import PATTERN_CHARACTERS, PATTERN_MEMORY_BYTES
from pfgov.policy.cel.values import no_overload

WHITESPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""Unicode White_Space, which is what ``trim`` removes."""

re2: Final[Any] = _re2  # it ships no types
_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_QUOTED: Final = str.maketrans({
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
    "\\": "\\\\", '"': '\\"',
})  # fmt: skip


def _strings(name: str, *values: object) -> None:
    for value in values:
        if type(value) is not str:
            raise no_overload(name, *values)


def _index(name: str, value: object) -> int:
    if type(value) is not int:
        raise no_overload(name, "", value)
    return value


# --- standard -------------------------------------------------------------------------------


def contains(text: object, part: object) -> object:
    """``text.contains(part)``."""
    _strings("contains", text, part)
    return cast("str", part) in cast("str", text)


def starts_with(text: object, prefix: object) -> object:
    """``text.startsWith(prefix)``."""
    _strings("startsWith", text, prefix)
    return cast("str", text).startswith(cast("str", prefix))


def ends_with(text: object, suffix: object) -> object:
    """``text.endsWith(suffix)``."""
    _strings("endsWith", text, suffix)
    return cast("str", text).endswith(cast("str", suffix))


@functools.lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Any:
    """Compile *pattern* as RE2, whose matching time is linear whatever the pattern.

    Raises:
        CelError: It is no RE2 pattern, or needs too much memory.
    """
    if len(pattern) > PATTERN_CHARACTERS:
        raise CelError(f"the pattern is longer than {PATTERN_CHARACTERS} characters")
    try:
        return compile_re2(pattern, PATTERN_MEMORY_BYTES)
    except ValueError as error:
        (reason,) = error.args
        raise CelError(f"not a regular expression (RE2): {reason}") from None


def compile_re2(pattern: str, memory: int | None) -> Any:
    """Compile *pattern* in at most so many bytes of *memory*; in as many as RE2 takes by itself for None.

    Raises:
        ValueError: It is no RE2 pattern, or needs more; the text says why.
    """
    options: Any = re2.Options()
    options.log_errors = False
    if memory is not None:
        options.max_mem = memory
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason: object = error.args[0] if error.args else "invalid"
        shown = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(shown) from None


def matches(text: object, pattern: object) -> object:
    """``text.matches(pattern)``: whether any part of *text* matches."""
    _strings("matches", text, pattern)
    try:
        return compile_pattern(cast("str", pattern)).search(text) is not None
    except UnicodeEncodeError:
        raise CelError("not a Unicode string: it holds half of a surrogate pair") from None


# --- the strings extension ------------------------------------------------------------------


def char_at(text: object, position: object) -> object:
    """``text.charAt(i)``; the position behind the last character gives an empty string."""
    _strings("charAt", text)
    string, index = cast("str", text), _index("charAt", position)
    if not 0 <= index <= len(string):
        raise CelError(f"charAt: index {index} is outside a string of {len(string)}")
    return string[index : index + 1]


def index_of(text: object, part: object, start: object = 0) -> object:
    """``text.indexOf(part[, start])``: -1 when absent."""
    _strings("indexOf", text, part)
    string, offset = cast("str", text), _index("indexOf", start)
    if offset < 0 or offset > len(string):
        raise CelError(f"indexOf: index {offset} is outside a string of {len(string)}")
    return string.find(cast("str", part), offset)


def last_index_of(text: object, part: object, start: object = None) -> object:
    """``text.lastIndexOf(part[, start])``: the last occurrence that begins at or before *start*."""
    _strings("lastIndexOf", text, part)
    string, sought = cast("str", text), cast("str", part)
    if start is None:
        return string.rfind(sought)
    offset = _index("lastIndexOf", start)
    if offset < 0 or offset > len(string):
        raise CelError(f"lastIndexOf: index {offset} is outside a string of {len(string)}")
    return string.rfind(sought, 0, offset + len(sought))


def lower_ascii(text: object) -> object:
    """``text.lowerAscii()``."""
    _strings("lowerAscii", text)
    return cast("str", text).translate(_LOWER)


def upper_ascii(text: object) -> object:
    """``text.upperAscii()``."""
    _strings("upperAscii", text)
    return cast("str", text).translate(_UPPER)


def replace(text: object, old: object, new: object, limit: object = -1) -> object:
    """``text.replace(old, new[, limit])``; a negative limit replaces all."""
    _strings("replace", text, old, new)
    count = _index("replace", limit)
    replaced = cast("str", text).count(cast("str", old))
    _bounded(len(cast("str", text)) + replaced * len(cast("str", new)))
    return cast("str", text).replace(cast("str", old), cast("str", new), max(count, -1))


def _bounded(characters: int) -> None:
    # One call must not outgrow what the work budget, checked after it, could ever accept.
    if characters > 1 << 20:
        raise WorkExceededError("the result is too large")


def split(text: object, separator: object, limit: object = -1) -> object:
    """``text.split(separator[, limit])``; an empty separator splits into characters."""
    _strings("split", text, separator)
    string, mark, count = cast("str", text), cast("str", separator), _index("split", limit)
    if count == 0:
        return []
    if count == 1:
        return [string]
    if not mark:
        if count < 0 or count >= len(string):
            return list(string)
        return [*string[: count - 1], string[count - 1 :]]
    return string.split(mark, count - 1 if count > 0 else -1)


def substring(text: object, start: object, end: object = None) -> object:
    """``text.substring(start[, end])``."""
    _strings("substring", text)
    string, first = cast("str", text), _index("substring", start)
    last = len(string) if end is None else _index("substring", end)
    if not 0 <= first <= last <= len(string):
        raise CelError(f"substring: {first} to {last} is outside a string of {len(string)}")
    return string[first:last]


def trim(text: object) -> object:
    """``text.trim()``: without leading and trailing white space."""
    _strings("trim", text)
    return cast("str", text).strip(WHITESPACE)


def reverse(text: object) -> object:
    """``text.reverse()``, by code point; of a list, its items."""
    if type(text) is list:
        return cast("list[object]", text)[::-1]
    _strings("reverse", text)
    return cast("str", text)[::-1]


def join(items: object, separator: object = "") -> object:
    """``list.join([separator])``."""
    if type(items) is not list:
        raise no_overload("join", items, separator)
    parts = cast("list[object]", items)
    _strings("join", separator, *parts)
    _bounded(sum(len(cast("str", part)) + len(cast("str", separator)) for part in parts))
    return cast("str", separator).join(cast("list[str]", parts))


def quote(text: object) -> object:
    """``strings.quote(text)``: as a literal, with the usual escapes."""
    _strings("strings.quote", text)
    return f'"{cast("str", text).translate(_QUOTED)}"'
