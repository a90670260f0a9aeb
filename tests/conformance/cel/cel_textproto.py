"""A reader for the protobuf text format, as far as the CEL conformance files use it.

A message becomes a ``dict`` from field name to the list of its values; scalars become
``str`` (quoted), :class:`Word` (everything unquoted) or nested messages.  It knows no
schema: the runner decides what a field means.  Format: protobuf.dev text-format spec.
"""

import re
from collections.abc import Iterator

Message = dict[str, list[object]]

_TOKEN = re.compile(
    r"(?P<space>\s+|\#[^\n]*)"
    r"|(?P<string>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')"
    r"|(?P<bracketed>\[[A-Za-z0-9_./]+\])"
    r"|(?P<word>[-+]?[A-Za-z0-9_.][-+A-Za-z0-9_.]*)"
    r"|(?P<mark>[{}<>:,;\[\]])"
)
_ESCAPE = re.compile(
    rb"\\(?:([abfnrtv\\'\"?])|([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))"
)
_SIMPLE = {
    b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v",
    b"\\": b"\\", b"'": b"'", b'"': b'"', b"?": b"?",
}  # fmt: skip


class Word(str):
    """An unquoted scalar: a number, a bool, an enum value."""

    __slots__ = ()


def read(text: str) -> Message:
    """Read one message of the text format."""
    tokens = list(_tokens(text))
    message, position = _message(tokens, 0, None)
    assert position == len(tokens)
    return message


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match is not None, f"not text format at {text[position : position + 40]!r}"
        position = match.end()
        if match.lastgroup != "space":
            yield str(match.lastgroup), match.group()


def _message(
    tokens: list[tuple[str, str]], position: int, closing: str | None
) -> tuple[Message, int]:
    message: Message = {}
    while position < len(tokens):
        kind, text = tokens[position]
        if text == closing and kind == "mark":
            return message, position + 1
        if text in (",", ";") and kind == "mark":
            position += 1
            continue
        name, position = text.strip("[]"), position + 1
        if tokens[position] == ("mark", ":"):
            position += 1
        value, position = _value(tokens, position)
        message.setdefault(name, []).extend(value if isinstance(value, list) else [value])
    assert closing is None
    return message, position


def _value(tokens: list[tuple[str, str]], position: int) -> tuple[object, int]:
    kind, text = tokens[position]
    if kind == "mark" and text in "{<":
        return _message(tokens, position + 1, "}" if text == "{" else ">")
    if kind == "mark" and text == "[":
        values: list[object] = []
        position += 1
        while tokens[position] != ("mark", "]"):
            if tokens[position] == ("mark", ","):
                position += 1
                continue
            value, position = _value(tokens, position)
            values.append(value)
        return values, position + 1
    if kind == "string":
        data = b""
        while position < len(tokens) and tokens[position][0] == "string":
            data += _unescape(tokens[position][1][1:-1])
            position += 1
        return data, position
    return Word(text), position + 1


def _unescape(text: str) -> bytes:
    def replace(match: re.Match[bytes]) -> bytes:
        simple, octal, hexadecimal, short, long = match.groups()
        if simple:
            return _SIMPLE[simple]
        if octal:
            return bytes([int(octal, 8)])
        if hexadecimal:
            return bytes([int(hexadecimal, 16)])
        return chr(int(short or long, 16)).encode()

    return _ESCAPE.sub(replace, text.encode())
