"""The view of a context that an owner under a redaction may read, and what such an owner wrote, completed.

This module commits to nothing, stores nothing and does not know who asks for which view.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import msgspec

from pfgov.decoding import Reader
from pfgov.errors import InvalidError

EACH: Final = "*"
"""The step of a path that means every element of a list; any other step that is no index means its field in each."""

_ANYTHING: Final = Reader[Any](Any)
_INDEX: Final = re.compile("0|[1-9][0-9]{0,8}")

Spot = tuple[str | int, ...]
"""A place in a document: names and indices from its root."""


def without(payload: bytes, paths: Sequence[str]) -> bytes:
    """Return the JSON document *payload* without the values at *paths* (decision record 0018).

    A path is a JSON pointer (RFC 6901) whose step applies to every element of a list that it meets, unless it is an
    index.  A pointer to nothing withholds nothing, one that leads into a plain value withholds that value, and the
    empty one everything.

    Raises:
        InvalidError: *payload* is not JSON, so that nothing can be withheld from it.
    """
    document = [_decoded(payload)]
    for path in paths:
        for *parents, last in _spots(document[0], _tokens(path), (0,)):
            _take_out(document, parents, last)
    return msgspec.json.encode(document[0], order="sorted")


def overlaid(written: bytes, whole: bytes, paths: Sequence[str]) -> bytes:
    """Return *written* with the values at *paths* as they are in *whole*: what its author never saw survives unchanged.

    A pointer to nothing in *whole* is taken out of *written*, too.  Elements of a list are told by their places.

    Raises:
        InvalidError: one of the two is not JSON, or an element that holds something withheld is gone.
    """
    document = [_decoded(without(written, paths))]
    source = [_decoded(whole)]
    spots = [(s, path) for path in paths for s in _spots(source[0], _tokens(path), (0,))]
    for spot, path in sorted(spots, key=lambda pair: len(pair[0])):  # the outer ones first
        value: Any = source
        for step in spot:
            value = value[step]
        _put(document, spot, value, path)
    return msgspec.json.encode(document[0], order="sorted")


def _decoded(payload: bytes) -> object:
    try:
        return _ANYTHING.decode(payload)
    except msgspec.DecodeError as error:
        raise InvalidError(
            "the context is not JSON, so policy cannot redact it",
            code="context.not_json",
            hint="send the context as a JSON object",
        ) from error


def _tokens(path: str) -> tuple[str, ...]:
    return tuple(t.replace("~1", "/").replace("~0", "~") for t in path.split("/")[1:])


def _spots(value: object, tokens: tuple[str, ...], at: Spot) -> Iterator[Spot]:
    """Return where the values are that *tokens* lead to from *value*, which is *at* some place itself."""
    if not tokens:
        yield at
    elif isinstance(value, dict):
        members, name = cast("dict[str, object]", value), tokens[0]
        if name in members:
            yield from _spots(members[name], tokens[1:], (*at, name))
    elif isinstance(value, list):
        items, step = cast("list[object]", value), tokens[0]
        if _INDEX.fullmatch(step):
            chosen, rest = range(int(step), min(int(step) + 1, len(items))), tokens[1:]
        else:
            chosen, rest = range(len(items)), tokens[1:] if step == EACH else tokens
        for index in chosen:
            yield from _spots(items[index], rest, (*at, index))
    elif value is not None:
        yield at  # there is no inside to take the value from: all of it is withheld


def _take_out(document: list[object], parents: Sequence[str | int], last: str | int) -> None:
    """Take the value out at a place: a name goes, an element leaves null, so that later ones keep their places."""
    holder: Any = document
    for step in parents:
        holder = holder[step]
    if isinstance(last, int):
        holder[last] = None
    else:
        holder.pop(last, None)


def _put(document: list[object], spot: Spot, value: object, path: str) -> None:
    holder: Any = document
    for depth, step in enumerate(spot, 1):
        is_last = depth == len(spot)
        inner: object = [] if not is_last and isinstance(spot[depth], int) else {}
        if isinstance(step, int):
            if not isinstance(holder, list):
                return  # the author made something else of the list: there is no place to put it back
            items = cast("list[object]", holder)
            if step >= len(items):
                raise InvalidError(
                    f"an element of a list is gone that holds what policy withholds at {path}",
                    code="context.list_shortened",
                    hint="keep the elements of such a list in their places; add new ones at its end",
                )
            if is_last or items[step] is None:
                items[step] = value if is_last else inner
            holder = items[step]
        elif isinstance(holder, dict):
            members = cast("dict[str, object]", holder)
            if is_last:
                members[step] = value
            holder = members.setdefault(step, inner)
        else:
            return  # the author made a scalar of its parent: there is no place to put it back
