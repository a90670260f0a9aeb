"""From the bytes of a context to the plain text that patterns run over, within bounds.

Every name and value of a JSON document becomes a line ``name: value``, so that a name says what its value is.  What
hides a value from a pattern is undone: other digits, spaces and hyphens, characters that nobody sees, percent signs,
entities, escapes, Base64, hexadecimal, gzip and zlib, one inside another to a depth.  What cannot be read, or becomes
larger than it may, is said to be so (:class:`UnreadableError`); it is never taken for empty.
"""

import base64
import binascii
import html
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from typing import Final, cast
from urllib.parse import unquote_to_bytes

import msgspec

from pfgov.limits import CONTEXT_BYTES_MAX

TEXT_BYTES_MAX: Final = 4 * CONTEXT_BYTES_MAX
"""Plain text that one context may come to, with everything that was unpacked."""

LAYERS_MAX: Final = 4
"""Encodings inside one another."""

OPAQUE_BYTES_MAX: Final = 1_024
"""Bytes of encoded data that are no text and pass for a key, a digest or a signature; more cannot be looked through."""

PIECES_MAX: Final = 20_000
"""Encoded pieces that one context may hold."""

SEPARATOR: Final = b"\x1e"
"""Ends each line: no pattern goes across it."""


class UnreadableError(Exception):
    """It cannot be looked through: not JSON, too large when unpacked, too deep, or data of no known form."""


Tick = Callable[[], None]
"""Called between steps; raises when there is no time left."""


def plain_text(payload: bytes, tick: Tick) -> bytes:
    """Return the plain text of a context.

    Raises:
        UnreadableError: it cannot be looked through.
    """
    try:
        document = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError("not JSON") from error
    return _Reader(tick).read(_lines(document))


def plain_of_text(text: str, tick: Tick) -> bytes:
    """Return the plain text of a file that is no JSON document.

    Raises:
        UnreadableError: as :func:`plain_text`.
    """
    return _Reader(tick).read(iter((text,)))


def _lines(document: object) -> Iterator[str]:
    """Yield ``name: value`` for each plain value; the elements of a list are named by the list."""
    waiting: list[tuple[str, object]] = [("", document)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            members = cast("dict[str, object]", value)
            waiting.extend((key, members[key]) for key in reversed(members))
            if not members:
                yield name
        elif isinstance(value, list):
            items = cast("list[object]", value)
            if len(items) > 1 and all(isinstance(item, int | float) for item in items):
                yield f"{name}: {', '.join(map(str, items))}"  # a row of numbers is no row of names
            else:
                waiting.extend((name, item) for item in reversed(items))
        elif isinstance(value, str | int | float):
            yield f"{name}: {value}"
        else:
            yield name


_ENCODED: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HIDING: Final = re.compile(rb"[\\%&\x80-\xff]")
_HEX: Final = re.compile(r"[0-9A-Fa-f]+")
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,10});")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|[nrt])")
_CASES: Final = (re.compile("[a-z]"), re.compile("[A-Z]"))
_CLASSES_OF_BASE64: Final = (*_CASES, re.compile("[0-9]"))


QUICK_BYTES_MAX: Final = 4_096
"""Bytes that are read in a few milliseconds, if nothing is packed in them."""


def is_quick(raw: bytes) -> bool:
    """Whether *raw*, in which a context stands as JSON, is short and has nothing that might be an encoding of more."""
    if len(raw) > QUICK_BYTES_MAX or _HIDING.search(raw):
        return False
    return not any(
        _HEX.fullmatch(found[0]) or _may_be_base64(found[0]) or _is_text_in_letters(found[0])
        for found in _ENCODED.finditer(raw.decode("ascii"))
    )


class _Reader:
    """One context being read: what it came to so far."""

    def __init__(self, tick: Tick) -> None:
        self._tick = tick
        self._parts: list[bytes] = []
        self._size = 0
        self._pieces = 0

    def read(self, lines: Iterator[str]) -> bytes:
        for line in lines:
            self._add(line, 0)
        return SEPARATOR.join(self._parts)

    def _add(self, line: str, depth: int) -> None:
        self._tick()
        plain = self._plain(line)
        self._keep(plain)
        if len(plain) < 12:
            return
        for other in self._decoded(plain):
            if depth + 1 > LAYERS_MAX:
                raise UnreadableError("too many encodings inside one another")
            self._add(other, depth + 1)

    def _keep(self, plain: str) -> None:
        raw = plain.encode(errors="replace")
        self._size += len(raw) + 1
        if self._size > TEXT_BYTES_MAX:
            raise UnreadableError("too large when it is unpacked")
        self._parts.append(raw)

    def _plain(self, line: str) -> str:
        """Return *line* with one digit, space and hyphen of each kind, and without what nobody sees."""
        if line.isascii():
            return line.replace("\x1e", " ") if "\x1e" in line else line
        parts: list[str] = []
        size = 0
        for at in range(0, len(line), 65_536):
            self._tick()
            made = unicodedata.normalize("NFKC", line[at : at + 65_536]).translate(_PLAIN)
            size += len(made)
            if size > TEXT_BYTES_MAX:
                raise UnreadableError("too large when it is made plain")
            parts.append(made)
        return "".join(parts)

    def _decoded(self, plain: str) -> Iterator[str]:
        """Yield what *plain* says when an encoding is undone."""
        if "%" in plain and _PERCENT.search(plain):
            yield unquote_to_bytes(plain).decode(errors="replace")
        if "&" in plain and _ENTITY.search(plain):
            yield html.unescape(plain)
        if "\\" in plain and _ESCAPE.search(plain):
            yield _ESCAPE.sub(_unescaped, plain)
        for found in _ENCODED.finditer(plain):
            text = self._unpacked(found[0])
            if text is not None:
                yield text

    def _unpacked(self, piece: str) -> str | None:
        """Return what *piece* holds as text; None where it is a word, a number, or something short like a digest."""
        self._tick()
        if _HEX.fullmatch(piece):
            raws = [_from_hex(piece)]
        elif _may_be_base64(piece) or _is_text_in_letters(piece):
            raws = _from_base64(piece)
        else:
            return None  # rather a word, a path or a name
        for raw in raws:
            if raw is None:
                continue
            self._pieces += 1
            if self._pieces > PIECES_MAX:
                raise UnreadableError("too many encoded pieces")
            text = self._as_text(raw)
            if text is not None:
                return text
        if any(raw is not None and len(raw) > OPAQUE_BYTES_MAX for raw in raws):
            raise UnreadableError("data of no known form")
        return None

    def _as_text(self, raw: bytes) -> str | None:
        if raw[:2] == b"\x1f\x8b" or raw[:2] in {
            b"\x78\x01",
            b"\x78\x5e",
            b"\x78\x9c",
            b"\x78\xda",
        }:
            raw = self._inflated(raw)
        elif raw[:4] in {b"PK\x03\x04", b"%PDF", b"\x28\xb5\x2f\xfd"} or raw[:6] == b"\xfd7zXZ\x00":
            raise UnreadableError("packed in a form that is not unpacked here")
        try:
            text = raw.decode("utf-16" if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8")
        except UnicodeDecodeError:
            return None
        odd = sum(character < " " and character not in "\t\n\r" for character in text[:4_096])
        return text if odd * 20 <= min(len(text), 4_096) else None

    def _inflated(self, raw: bytes) -> bytes:
        unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)
        left = TEXT_BYTES_MAX - self._size
        try:
            made = unpacking.decompress(raw, max(left, 1))
        except zlib.error:
            return raw  # it only looked like that
        if not unpacking.eof:
            raise UnreadableError("packed data that is too large, or cut short")
        return made


def _from_hex(piece: str) -> bytes | None:
    return bytes.fromhex(piece) if len(piece) % 2 == 0 else None


def _from_base64(piece: str) -> list[bytes | None]:
    """Return what *piece* decodes to, padded or not."""
    bare = piece.rstrip("=").translate(_URL_SAFE)
    try:
        return [base64.b64decode(bare[: len(bare) - (len(bare) % 4 == 1)] + "=" * (-len(bare) % 4))]
    except (binascii.Error, ValueError):
        return []


def _may_be_base64(piece: str) -> bool:
    return all(kind.search(piece) for kind in _CLASSES_OF_BASE64) or piece.endswith("=")


def _is_text_in_letters(piece: str) -> bool:
    """Whether *piece*, which may be a name in letters of both cases, decodes to a text: hardly any name does."""
    if not all(kind.search(piece) for kind in _CASES) or _may_be_base64(piece):
        return False
    try:
        return all(raw is not None and raw.decode().isprintable() for raw in _from_base64(piece))
    except UnicodeDecodeError:
        return False


_URL_SAFE: Final = str.maketrans("-_", "+/")


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return " " if code is None else chr(int(code, 16))


class _Plain(dict[int, str | None]):
    """Character -> what it is written as; worked out when it is first met."""

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        kind = unicodedata.category(character)
        made: str | None = character
        if kind == "Nd":
            made = str(unicodedata.digit(character))
        elif kind == "Zs":
            made = " "
        elif kind in {"Zl", "Zp"}:
            made = "\n"
        elif kind == "Pd" or character == "\u2212":
            made = "-"
        elif kind == "Cf" or character in _UNSEEN:
            made = None
        elif character in {"\u3002", "\uff61"}:
            made = "."
        elif character == "\x1e":
            made = " "
        self[code] = made
        return made


_UNSEEN: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufe0f\ufe0e")
_PLAIN: Final = _Plain()
