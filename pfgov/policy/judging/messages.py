"""Sentences with values in them: the templates of rules, and how a value is written for people.

A template is text with ``{path}`` places, each a path of facts, params or variables; ``{{`` and
``}}`` are braces.  Nothing but paths is allowed, so that a message can neither fail nor cost more
than reading its values.  Doubles are written in their shortest form, so ``0.9`` reads as it was
typed.  This module evaluates nothing.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, cast

from pfgov.core.characters import escaped, is_printable
from pfgov.limits import TEXT_LENGTH_MAX
from pfgov.policy.cel.values import Duration, Timestamp, Uint

ABSENT: Final = "(absent)"
"""How a missing value is written."""

_PIECE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_PATH: Final = re.compile(r"[a-z][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_ITEMS_SHOWN: Final = 8
_TEXT_SHOWN: Final = 80
SENTENCE_MAX: Final = 200
"""Characters of one value in a reason, and of a sentence that no author wrote."""


class TemplateError(ValueError):
    """The template is malformed; ``offset`` is the 0-based place of the mistake."""

    def __init__(self, message: str, offset: int, hint: str | None = None) -> None:
        super().__init__(message)
        self.offset = offset
        self.hint = hint


def split(template: str) -> tuple[list[str], list[tuple[str, int]]]:
    """Return the literal pieces of *template* and, between them, (path, offset) pairs.

    Raises:
        TemplateError: A brace is alone, or a place holds something other than a path.
    """
    pieces, paths = list[str](), list[tuple[str, int]]()
    current, at = "", 0
    for match in _PIECE.finditer(template):
        current += template[at : match.start()]
        at = match.end()
        token = match.group()
        if token in {"{{", "}}"}:
            current += token[0]
        elif len(token) == 1:
            raise TemplateError(
                f"`{token}` stands alone", match.start(), f"write `{token * 2}` for a brace"
            )
        else:
            path = match[1].strip()
            if not _PATH.fullmatch(path):
                raise TemplateError(
                    f"`{{{match[1]}}}` is not a path",
                    match.start(),
                    "only paths such as {member.region} can stand in a message; use a variable",
                )
            pieces.append(current)
            paths.append((path, match.start() + 1))
            current = ""
    pieces.append(current + template[at:])
    return pieces, paths


def fill(pieces: Sequence[str], values: Sequence[str]) -> str:
    """Return the sentence of literal *pieces* with *values* between them, cut to the limit."""
    if len(values) == 1:
        return shorten(f"{pieces[0]}{values[0]}{pieces[1]}", TEXT_LENGTH_MAX)
    parts = [pieces[0]]
    for value, piece in zip(values, pieces[1:], strict=True):
        parts += (value, piece)
    return shorten("".join(parts), TEXT_LENGTH_MAX)


def shorten(text: str, limit: int = _TEXT_SHOWN) -> str:
    """Return *text* cut to *limit* characters, marked where it was cut."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def show(value: object) -> str:
    """Return *value* as a person reads it; never raises.

    >>> show(0.9), show(["us-east", "eu"]), show(True), show([])
    ('0.9', '[us-east, eu]', 'true', '[]')
    """
    writer = _WRITERS.get(type(value))
    return writer(value) if writer else f"({type(value).__name__})"


def show_rounded(value: object) -> str:
    """Return *value* as :func:`show` does, but durations in six digits: as sets with semantics before 4 show them."""
    if type(value) is Duration:
        return f"{value.ns / 1e9:g}s"
    kind: type = type(value)
    if kind is list:
        return _show_list(value, show_rounded)
    return _show_map(value, show_rounded) if kind is dict else show(value)


def _show_double(value: object) -> str:
    text = repr(value)
    return text.removesuffix(".0") if "e" not in text else text


def _show_list(value: object, write: Callable[[object], str] = show) -> str:
    items = cast("list[object]", value)
    shown = [write(item) for item in items[:_ITEMS_SHOWN]]
    more = [f"and {len(items) - _ITEMS_SHOWN} more"] if len(items) > _ITEMS_SHOWN else []
    return f"[{', '.join([*shown, *more])}]"


def _show_map(value: object, write: Callable[[object], str] = show) -> str:
    entries = list(cast("dict[object, object]", value).items())
    shown = [f"{write(key)}: {write(item)}" for key, item in entries[:_ITEMS_SHOWN]]
    more = [f"and {len(entries) - _ITEMS_SHOWN} more"] if len(entries) > _ITEMS_SHOWN else []
    return f"{{{', '.join([*shown, *more])}}}"


def _show_text(value: object) -> str:
    # Control characters would break tables and let a label forge lines of a log.
    text = shorten(cast("str", value))
    return text if is_printable(text) else escaped(repr(text))


def _show_ns(value: object) -> str:
    ns = cast("Duration", value).ns
    seconds, rest = divmod(abs(ns), 1_000_000_000)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return f"{'-' * (ns < 0)}{seconds}{fraction}s"


def _show_time(value: object) -> str:
    from datetime import UTC, datetime, timedelta

    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        microseconds=cast("Timestamp", value).ns // 1_000
    )
    return moment.isoformat().replace("+00:00", "Z")


_WRITERS: Final[dict[type, Callable[[object], str]]] = {
    str: _show_text,
    float: _show_double,
    int: str,
    Uint: lambda value: str(cast("Uint", value).value),
    bool: lambda value: "true" if value else "false",
    type(None): lambda _value: "null",
    list: _show_list,
    dict: _show_map,
    Duration: _show_ns,
    Timestamp: _show_time,
}
