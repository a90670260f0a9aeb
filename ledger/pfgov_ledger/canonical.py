"""Canonical JSON in the restricted profile: one value, one sequence of bytes.

The profile (``FORMAT.md`` section 2) is the part of RFC 8785 on which every common encoder
agrees: objects with keys ``[a-z][a-z0-9_]*``, arrays, strings without U+0000, surrogates and
noncharacters, integers up to 2^53 - 1, ``true``, ``false``, ``null``.  A real number is a
string, whose spelling is its writer's duty; a free-form map is an array of pairs (:func:`check_pairs`).

:func:`decode` accepts bytes only if re-emitting the parsed value gives exactly those bytes.
It runs the standard library's parser first and believes it where cheap tests show that nothing
outside the profile can have slipped through; whatever they cannot clear goes to :class:`_Parser`,
which is the profile written down, names each offence with its own code, and bounds its depth.

This module knows nothing of entries, hashes or keys.
"""

import json
import re
from collections.abc import Mapping
from typing import Final, NoReturn, TypeAlias, cast

from pfgov_ledger import errors

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"

DEPTH_MAX: Final = 16
"""Containers inside containers, the outermost counted."""
INTEGER_MAX: Final = 2**53 - 1
"""The largest magnitude an integer may have: what a double holds exactly."""
TEXT_BYTES_MAX: Final = 1 << 20
"""The longest input :func:`decode` looks at; callers have their own, lower limits."""

_KEY: Final = re.compile(r"[a-z][a-z0-9_]*")
_NONCHARACTERS: Final = "".join(
    f"{chr(p << 16 | 0xFFFE)}{chr(p << 16 | 0xFFFF)}" for p in range(17)
)
_FORBIDDEN: Final = re.compile(f"[\x00\ufdd0-\ufdef{_NONCHARACTERS}]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _small(digits: str) -> int:
    number = int(digits)
    if not -INTEGER_MAX <= number <= INTEGER_MAX:
        raise ValueError(digits)
    return number


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)


_parse: Final = json.JSONDecoder(
    parse_int=_small, parse_float=_refuse, parse_constant=_refuse
).raw_decode
_dumps: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


def encode(value: object) -> bytes:
    """The canonical bytes of *value*: ``None``, bools, integers, strings, lists and dicts.

    Raises:
        MalformedError: The value is outside the profile; the subclass says how.
    """
    _check(value, DEPTH_MAX)
    return _dumps(value).encode()


def text_of(value: object, most: int) -> str:
    """*value* for a reader, cut to *most* characters: a string as it is, anything else as canonical JSON.

    All verifiers write what an entry says into their reports in this one way.
    """
    return (value if isinstance(value, str) else _dumps(value))[:most]


def decode(raw: bytes, *, depth_max: int = DEPTH_MAX) -> Json:
    """Parse *raw*, which must be the canonical encoding of what it says.

    Raises:
        MalformedError: It is not; the subclass and its code say why.
    """
    if len(raw) > TEXT_BYTES_MAX:
        raise errors.OversizeError(expected=f"at most {TEXT_BYTES_MAX} bytes", found=str(len(raw)))
    value = _decode_fast(raw, depth_max)
    return _decode_strict(raw, depth_max) if value is _UNSURE else cast("Json", value)


def check_pairs(value: object) -> None:
    """Refuse *value* unless it is a map: unique ``[name, value]`` pairs in UTF-8 byte order.

    Raises:
        PairsError: It is not an array of such pairs, or they repeat or are out of order.
    """
    if not isinstance(value, list):
        raise errors.PairsError("a map is an array of [name, value] pairs")
    last: bytes | None = None
    for pair in cast("list[object]", value):
        name = cast("list[object]", pair)[0] if isinstance(pair, list) and pair else None
        if not isinstance(name, str) or len(cast("list[object]", pair)) != 2:
            raise errors.PairsError("a map is an array of [name, value] pairs")
        encoded = name.encode()
        if last is not None and encoded <= last:
            raise errors.PairsError(f"{name!r} repeats or is out of order")
        last = encoded


# --- the fast way in -------------------------------------------------------------------------

_UNSURE: Final = object()
_GOOD_KEY: Final = re.compile(rb'"[a-z][a-z0-9_]*":')
_NOT_OPENING: Final = bytes(set(range(256)) - set(b"[{"))


def _decode_fast(raw: bytes, depth_max: int) -> object:
    r"""The value of *raw* if the standard parser can be believed, else ``_UNSURE``.

    Its hooks refuse floats, NaN and long integers.  Equal bytes after re-emission rule out repeated or
    unsorted keys, spaces, other escapes and ``-0``.  The rest is cleared by sight: keys outside the
    alphabet (every ``":`` must end a good key; without ``\"`` a quote always delimits), U+0000,
    noncharacters (their UTF-8 holds EF B7, BF BE or BF BF), depth (few openings, or counted).
    """
    if (
        b'\\"' in raw
        or b"\\u0000" in raw
        or b"\xef\xb7" in raw
        or b"\xbf\xbe" in raw
        or b"\xbf\xbf" in raw
        or raw.count(b'":') != len(_GOOD_KEY.findall(raw))
        or raw[:1] not in {b"{", b"["}
    ):
        return _UNSURE
    try:
        value, _ = _parse(raw.decode())
        if _dumps(value).encode() != raw:
            return _UNSURE
    except (ValueError, RecursionError):
        return _UNSURE
    if len(raw.translate(None, _NOT_OPENING)) > depth_max and _is_deeper(value, depth_max):
        return _UNSURE
    return value


def _is_deeper(value: object, levels: int) -> bool:
    level: list[object] = [value]
    for _ in range(levels):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(cast("dict[str, object]", item).values())
            elif isinstance(item, list):
                below.extend(cast("list[object]", item))
        level = [item for item in below if isinstance(item, dict | list)]
        if not level:
            return False
    return True


# --- the strict way in -----------------------------------------------------------------------


def _decode_strict(raw: bytes, depth_max: int) -> Json:
    if raw.startswith(b"\xef\xbb\xbf"):
        raise errors.ByteOrderMarkError
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        if raw[error.start] == 0xED and raw[error.start + 1 : error.start + 2] >= b"\xa0":
            raise errors.SurrogateError(f"byte {error.start}") from None
        raise errors.NotUtf8Error(f"byte {error.start}: {error.reason}") from None
    value = _Parser(text).whole(depth_max)
    _check(value, depth_max)
    emitted = _dumps(value).encode()
    if emitted != raw:
        at = next(
            (i for i, (a, b) in enumerate(zip(emitted, raw, strict=False)) if a != b), len(emitted)
        )
        raise errors.NonCanonicalError(
            f"differs at byte {at}",
            expected=repr(emitted[at : at + 24]),
            found=repr(raw[at : at + 24]),
        )
    return value


class _Parser:
    """JSON (RFC 8259) with the profile's refusals, by recursive descent to a bounded depth."""

    _space: Final = re.compile(r"[ \t\n\r]*")
    _number: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
    _plain: Final = re.compile(r'[^"\\\x00-\x1f]*')
    _hex: Final = re.compile(r"[0-9a-fA-F]{4}")
    _escapes: Final = {
        '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
    }  # fmt: skip
    _words: Final[Mapping[str, Json]] = {"true": True, "false": False, "null": None}

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def whole(self, depth_max: int) -> Json:
        value = self._value(depth_max)
        self._skip()
        if self._at != len(self._text):
            raise self._not_json("more text after the value")
        return value

    def _not_json(self, why: str) -> errors.NotJsonError:
        return errors.NotJsonError(f"character {self._at}: {why}")

    def _skip(self) -> str:
        match = self._space.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._text[self._at : self._at + 1]

    def _take(self, character: str) -> None:
        if self._skip() != character:
            raise self._not_json(f"expected {character!r}")
        self._at += 1

    def _value(self, levels: int) -> Json:
        first = self._skip()
        if first == '"':
            return self._string()
        if first in {"{", "["} and levels == 0:
            raise errors.DepthError(f"character {self._at}")
        if first == "{":
            return self._object(levels)
        if first == "[":
            return self._array(levels)
        for word, value in self._words.items():
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return value
        if self._text.startswith(("NaN", "Infinity", "-Infinity"), self._at):
            raise errors.NotANumberError(f"character {self._at}")
        return self._integer()

    def _integer(self) -> int:
        match = self._number.match(self._text, self._at)
        if match is None:
            raise self._not_json("expected a value")
        where = f"character {self._at}"
        digits = match.group()
        self._at = match.end()
        if match.group(1) or match.group(2):
            raise errors.FloatError(where, found=digits[:40])
        if digits == "-0":
            raise errors.NegativeZeroError(where)
        if len(digits) > 17 or abs(int(digits)) > INTEGER_MAX:
            raise errors.IntegerRangeError(where, found=digits[:40])
        return int(digits)

    def _string(self) -> str:
        self._at += 1
        parts: list[str] = []
        while True:
            plain = self._plain.match(self._text, self._at)
            if plain is not None:
                parts.append(plain.group())
                self._at = plain.end()
            stop = self._text[self._at : self._at + 1]
            if stop == '"':
                self._at += 1
                return "".join(parts)
            if stop != "\\":
                raise self._not_json("a control character or the end inside a string")
            parts.append(self._escape())

    def _escape(self) -> str:
        letter = self._text[self._at + 1 : self._at + 2]
        if letter != "u":
            if letter not in self._escapes:
                raise self._not_json("unknown escape")
            self._at += 2
            return self._escapes[letter]
        high = self._hex_four(self._at + 2)
        self._at += 6
        if 0xD800 <= high < 0xDC00 and self._text.startswith("\\u", self._at):
            low = self._hex_four(self._at + 2)
            if 0xDC00 <= low < 0xE000:
                self._at += 6
                return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
        return chr(high)

    def _hex_four(self, at: int) -> int:
        match = self._hex.match(self._text, at)
        if match is None:
            raise self._not_json("expected four hexadecimal digits")
        return int(match.group(), 16)

    def _array(self, levels: int) -> Json:
        self._at += 1
        items: list[Json] = []
        if self._skip() == "]":
            self._at += 1
            return items
        while True:
            items.append(self._value(levels - 1))
            if self._skip() == "]":
                self._at += 1
                return items
            self._take(",")

    def _object(self, levels: int) -> Json:
        self._at += 1
        members: dict[str, Json] = {}
        if self._skip() == "}":
            self._at += 1
            return members
        while True:
            if self._skip() != '"':
                raise self._not_json("expected a key")
            key = self._string()
            if key in members:
                raise errors.DuplicateKeyError(found=repr(key[:80]))
            self._take(":")
            members[key] = self._value(levels - 1)
            if self._skip() == "}":
                self._at += 1
                return members
            self._take(",")


# --- what a value may hold -------------------------------------------------------------------


def _check(value: object, levels: int) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif value is None or isinstance(value, bool):
        return
    elif isinstance(value, int):
        if not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise errors.IntegerRangeError(found=str(value)[:40])
    elif isinstance(value, dict | list):
        if levels == 0:
            raise errors.DepthError
        if isinstance(value, dict):
            for key, item in cast("dict[object, object]", value).items():
                if not isinstance(key, str) or _KEY.fullmatch(key) is None:
                    raise errors.KeyNameError(expected="[a-z][a-z0-9_]*", found=repr(key)[:80])
                _check(item, levels - 1)
        else:
            for item in cast("list[object]", value):
                _check(item, levels - 1)
    elif isinstance(value, float):
        raise errors.FloatError(found=repr(value))
    else:
        raise errors.MalformedError(f"a {type(value).__name__} has no canonical form")


def _check_text(text: str) -> None:
    if text.isascii() and "\x00" not in text:
        return
    if _SURROGATE.search(text) is not None:
        raise errors.SurrogateError
    if _FORBIDDEN.search(text) is not None:
        raise errors.CharacterError
