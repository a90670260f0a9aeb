"""The one door for hostile JSON: bytes in, a tree of plain values out, or an error that says where.

Stricter than the standard reader in everything that two readers could understand differently: UTF-8 only, no
duplicate keys, no NaN or Infinity, no integer beyond 2**53 - 1, no NUL, lone surrogate or noncharacter, bounded
size, depth and number length.  Fractions are read as exact decimals, never as floats.  This module knows nothing
of packets or members: :func:`check_tree` and :mod:`pfgov.model.border` do the same for trees from YAML and for
what the values mean.
"""

import json
import math
import re
from decimal import Decimal
from typing import Any, Final, TypeAlias, cast

from pfgov.errors import InvalidError, TooLargeError
from pfgov.limits import INTEGER_MAX, JSON_DEPTH_MAX, NUMBER_LENGTH_MAX

Json: TypeAlias = "bool | int | Decimal | str | list[Json] | dict[str, Json] | None"
"""What :func:`read_json` returns.  (A tree from YAML may also hold floats.)"""

_EXPONENT_MAX: Final = 400  # beyond any double; keeps arithmetic on the decimal cheap
_FORBIDDEN: Final = re.compile(
    "[\x00\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
    + "]"
)
_SHOWN_LENGTH_MAX: Final = 60


class _Refused:
    """A value that is JSON, but not ours; kept in the tree until its place is known."""

    def __init__(self, message: str) -> None:
        self.message = message


def read_json(raw: bytes, *, limit: int) -> Json:
    """Return the value that *raw* stands for.

    Args:
        raw: What came in.
        limit: The most bytes that are acceptable.

    Raises:
        TooLargeError: more than *limit* bytes, or nested deeper than ``JSON_DEPTH_MAX``.
        InvalidError: not JSON, or JSON that another reader could understand differently.
    """
    if len(raw) > limit:
        raise TooLargeError(f"{len(raw)} bytes are more than the {limit} allowed")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_json(f"byte {error.start} is not UTF-8") from None
    if text.startswith("\ufeff"):
        raise _not_json("it starts with a byte order mark")
    try:
        tree = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _not_json(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _too_deep("") from None
    _check(tree, "", JSON_DEPTH_MAX)
    return cast("Json", tree)


def check_tree(tree: object) -> Json:
    """Return *tree*, made by another reader (YAML), if it holds only what JSON input may hold.

    Raises:
        TooLargeError: it is nested deeper than ``JSON_DEPTH_MAX``.
        InvalidError: it holds something else than plain values, or a value that JSON input may not hold.
    """
    _check(tree, "", JSON_DEPTH_MAX)
    return cast("Json", tree)


def write_json(tree: Json) -> bytes:
    """Return *tree* as compact JSON with sorted keys: equal trees give equal bytes.

    Numbers are written by value (``0.90`` as ``0.9``, ``1.0`` as ``1``), keys in code point order.  These are the
    bytes of a context payload; entries have their own profile (``ledger/FORMAT.md``).
    """
    return _write(tree).encode()


def pointer_of(parts: tuple[str | int, ...]) -> str:
    """Return the JSON pointer (RFC 6901) of a path.

    >>> pointer_of(("labels", "a/b", 0))
    '/labels/a~1b/0'
    """
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def shown(value: object) -> str:
    """Return *value* as a message may show it: one line, shortened."""
    if isinstance(value, Decimal | int | float) and not isinstance(value, bool):
        text = str(value)
    else:
        text = json.dumps(value, default=lambda other: type(other).__name__)
    return text if len(text) <= _SHOWN_LENGTH_MAX else text[: _SHOWN_LENGTH_MAX - 3] + "..."


def _object(pairs: list[tuple[str, Any]]) -> object:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    twice = next(name for index, name in enumerate(names) if name in names[:index])
    return _Refused(f"the key {shown(twice)} appears twice")


def _integer(text: str) -> object:
    if len(text) <= 17 and abs(value := int(text)) <= INTEGER_MAX:
        return value
    return _Refused(f"{text[:_SHOWN_LENGTH_MAX]} is beyond 2**53 - 1: not every reader keeps it")


def _fraction(text: str) -> object:
    if len(text) <= NUMBER_LENGTH_MAX:
        exponent = text.lower().partition("e")[2]
        if len(exponent) <= 4 and abs(int(exponent or "0")) <= _EXPONENT_MAX:
            return Decimal(text)
    return _Refused(f"the number {text[:_SHOWN_LENGTH_MAX]} is out of range")


def _constant(text: str) -> object:
    return _Refused(f"{text} is not a number in JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_fraction,
    parse_constant=_constant,
)


def _check(value: object, pointer: str, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value, pointer)
    elif isinstance(value, dict):
        if depth == 0:
            raise _too_deep(pointer)
        for name, item in cast("dict[object, object]", value).items():
            if not isinstance(name, str):
                raise InvalidError(f"the key {shown(name)} is not a text", pointer=pointer)
            _check_text(name, pointer)
            _check(item, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}", depth - 1)
    elif isinstance(value, list):
        if depth == 0:
            raise _too_deep(pointer)
        for index, item in enumerate(cast("list[object]", value)):
            _check(item, f"{pointer}/{index}", depth - 1)
    elif value is not None and not isinstance(value, bool):
        _check_number(value, pointer)


def _check_number(value: object, pointer: str) -> None:
    if isinstance(value, _Refused):
        raise InvalidError(value.message, pointer=pointer)
    if isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise InvalidError("an integer is beyond 2**53 - 1", pointer=pointer)
    elif isinstance(value, float | Decimal):
        if not math.isfinite(value):
            raise InvalidError(f"{value} is not a finite number", pointer=pointer)
    else:
        raise InvalidError(
            f"a {type(value).__name__} is not a plain value",
            hint="write dates as texts, in quotes",
            pointer=pointer,
        )


def _check_text(text: str, pointer: str) -> None:
    if not text.isascii() or "\x00" in text:
        found = _FORBIDDEN.search(text)
        if found:
            raise InvalidError(
                f"U+{ord(found.group()):04X} may not stand in a text", pointer=pointer
            )


def _write(value: Json) -> str:
    if isinstance(value, dict):
        members = (f"{_quote(name)}:{_write(value[name])}" for name in sorted(value))
        return "{" + ",".join(members) + "}"
    if isinstance(value, list | tuple):  # tuples stand in the dumps of wire models
        return "[" + ",".join(map(_write, value)) + "]"
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, float):  # a tree from YAML
        return _number(Decimal(repr(value)))
    return _quote(value)


def _number(value: Decimal) -> str:
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    kept = text.rstrip("0")
    power = int(exponent) + len(text) - len(kept)
    if not kept:
        return "0"
    minus = "-" if sign else ""
    if power >= 0 and len(kept) + power <= 16 and int(kept) * 10**power <= INTEGER_MAX:
        return f"{minus}{int(kept) * 10**power}"
    if -16 <= power < 0:
        whole, fraction = kept.rjust(1 - power, "0")[:power], kept.rjust(1 - power, "0")[power:]
        return f"{minus}{whole}.{fraction}"
    return f"{minus}{kept}e{power}"


_quote: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def _not_json(why: str) -> InvalidError:
    return InvalidError(
        f"this is not JSON: {why}",
        code="input.not_json",
        hint="check it with a JSON tool",
        pointer="",
    )


def _too_deep(pointer: str) -> TooLargeError:
    return TooLargeError(f"nested deeper than {JSON_DEPTH_MAX}", pointer=pointer)
