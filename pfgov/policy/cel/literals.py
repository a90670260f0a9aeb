"""Literals: the text of a number, string or bytes literal to its value.

Our own decoding, because cel-python's gets 28 conformance tests silently wrong.
Source: CEL language definition, "Lexis" and "String and Bytes Values".  Knows
nothing of tokens or positions; a bad literal is a ``ValueError`` with an offset.
"""

import re
from typing import Final

from pfgov.policy.cel.limits import INT_MAX, INT_MIN, UINT_MAX
from pfgov.policy.cel.values import Uint

_SIMPLE: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?",
}  # fmt: skip

_ESCAPE: Final = re.compile(
    r"\\(?:([abfnrtv\\'\"`?])|([0-3][0-7]{2})|[xX]([0-9a-fA-F]{2})"
    r"|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))"
)
_NEWLINES: Final = re.compile(r"\r\n?")


class LiteralError(ValueError):
    """A literal has no value; ``offset`` counts from its first character."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


def _shown(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:21]}..."


def number(text: str) -> int | float | Uint:
    """Decode an integer, unsigned or floating literal, with its optional sign.

    Raises:
        LiteralError: The value is outside int64, uint64 or the finite doubles.
    """
    body = text.lower()
    if body.endswith("u"):
        value = int(body[:-1], 0) if "x" in body else int(body[:-1])
        if not 0 <= value <= UINT_MAX:
            raise LiteralError(f"{_shown(text)} is outside the unsigned 64-bit range")
        return Uint(value)
    if "x" in body or body.lstrip("-").isdigit():
        value = int(body, 16) if "x" in body else int(body)
        if not INT_MIN <= value <= INT_MAX:
            raise LiteralError(f"{_shown(text)} is outside the signed 64-bit range")
        return value
    double = float(body)
    if double in (float("inf"), float("-inf")):
        raise LiteralError(f"{_shown(text)} is outside the range of a double")
    return double


def text_or_bytes(literal: str) -> str | bytes:
    """Decode a quoted literal, including its prefix (``r``, ``b``) and its quotes.

    Raises:
        LiteralError: A bad escape, or an escape for half of a surrogate pair.
    """
    prefix_length = next(i for i, c in enumerate(literal) if c in "'\"")
    prefix = literal[:prefix_length].lower()
    quote_length = 3 if literal[prefix_length : prefix_length + 3] in ("'''", '"""') else 1
    start = prefix_length + quote_length
    body = literal[start : len(literal) - quote_length]
    if quote_length == 3:
        body = _NEWLINES.sub("\n", body)
    if "b" in prefix:
        return body.encode() if "r" in prefix else _decode_bytes(body, start)
    return body if "r" in prefix else _decode_text(body, start)


def _decode_text(body: str, start: int) -> str:
    parts: list[str] = []
    for piece, escape, offset in _pieces(body, start):
        parts.append(piece)
        if escape is not None:
            parts.append(_character(escape, offset))
    return "".join(parts)


def _decode_bytes(body: str, start: int) -> bytes:
    parts: list[bytes] = []
    for piece, escape, offset in _pieces(body, start):
        parts.append(piece.encode())
        if escape is None:
            continue
        simple, octal, hexadecimal, *_unicode = escape.groups()
        if octal or hexadecimal:
            parts.append(bytes([int(octal, 8) if octal else int(hexadecimal, 16)]))
        elif simple:
            parts.append(_SIMPLE[simple].encode())
        else:
            raise LiteralError("\\u and \\U escapes are not allowed in bytes", offset)
    return b"".join(parts)


def _pieces(body: str, start: int) -> list[tuple[str, re.Match[str] | None, int]]:
    """Split *body* at its escapes: (text before, the escape, its offset)."""
    pieces: list[tuple[str, re.Match[str] | None, int]] = []
    position = 0
    while True:
        backslash = body.find("\\", position)
        if backslash < 0:
            pieces.append((body[position:], None, start + len(body)))
            return pieces
        escape = _ESCAPE.match(body, backslash)
        if escape is None:
            shown = body[backslash : backslash + 2]
            raise LiteralError(
                f"unknown escape {shown!s} (write \\\\ for a backslash, or use r'...')",
                start + backslash,
            )
        pieces.append((body[position:backslash], escape, start + backslash))
        position = escape.end()


def _character(escape: re.Match[str], offset: int) -> str:
    simple, octal, hexadecimal, short, long = escape.groups()
    if simple:
        return _SIMPLE[simple]
    point = int(octal, 8) if octal else int(hexadecimal or short or long, 16)
    if 0xD800 <= point <= 0xDFFF or point > 0x10FFFF:
        raise LiteralError(f"{escape.group()} is not a Unicode character", offset)
    return chr(point)
