"""Commitments to payloads, and the view of a context that an owner under a redaction may read.

Salts are drawn here, at the edge, before anything is decided: ``decide`` only ever sees commitments.  This module
stores nothing and does not know who asks for which view.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import msgspec

from pfgov.commands import Commitment
from pfgov.engine.answers import Attachment
from pfgov.errors import InvalidError, TooLargeError
from pfgov.limits import CONTEXT_BYTES_MAX
from pfgov_ledger import commitment

VIEW: Final = "view"
"""The field that a view's commitment is bound to."""

CONTEXT: Final = "context"
"""The field that a context's commitment is bound to."""

Entropy = Callable[[int], bytes]
"""So many random bytes: the operating system's, or a simulator's."""


def attach(
    origin: str,
    subject: str,
    field: str,
    payload: bytes,
    draw: Entropy,
    *,
    parent: str | None = None,
) -> Attachment:
    """Return *payload* with a fresh salt and the commitment that entries may name.

    Raises:
        TooLargeError: more than :data:`CONTEXT_BYTES_MAX` bytes.
    """
    if len(payload) > CONTEXT_BYTES_MAX:
        raise TooLargeError(
            f"a payload of {len(payload)} bytes is larger than {CONTEXT_BYTES_MAX}",
            hint="keep large data elsewhere and put a reference into the context",
        )
    salt = draw(commitment.SALT_BYTES)
    digest = commitment.commit(
        origin=origin, subject=subject, field=field, salt=salt, payload=payload
    )
    named = Commitment(digest=digest.hex(), size=commitment.size_bucket(len(payload)))
    return Attachment(named, subject, field, salt, payload, parent)


def opens(origin: str, attachment: Attachment) -> bool:
    """Whether *attachment*'s payload and salt are what its commitment commits to."""
    digest = commitment.commit(
        origin=origin,
        subject=attachment.subject,
        field=attachment.field,
        salt=attachment.salt,
        payload=attachment.payload,
    )
    return digest.hex() == attachment.commitment.digest


def without(payload: bytes, paths: Sequence[str]) -> bytes:
    """Return the JSON document *payload* without the values at *paths* (RFC 6901 pointers).

    A pointer to nothing withholds nothing; the empty pointer withholds everything.

    Raises:
        InvalidError: *payload* is not JSON, so that nothing can be withheld from it.
    """
    try:
        document: Any = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidError(
            "the context is not JSON, so policy cannot redact it",
            code="context.not_json",
            hint="send the context as a JSON object",
        ) from error
    for path in paths:
        if not path:
            document = None
        else:
            _drop(document, [_unescaped(token) for token in path.split("/")[1:]])
    return msgspec.json.encode(document, order="sorted")


def overlaid(written: bytes, whole: bytes, paths: Sequence[str]) -> bytes:
    """Return *written* with the values at *paths* as they are in *whole*: what its author never saw survives unchanged.

    A pointer to nothing in *whole* is taken out of *written*, too.

    Raises:
        InvalidError: one of the two is not JSON.
    """
    document: Any = msgspec.json.decode(without(written, paths))
    source: Any = msgspec.json.decode(without(whole, ()))
    for path in paths:
        tokens = [_unescaped(token) for token in path.split("/")[1:]]
        found, value = _at(source, tokens)
        if not tokens:
            document = value
        elif found:
            _put(document, tokens, value)
    return msgspec.json.encode(document, order="sorted")


def _at(document: object, tokens: Sequence[str]) -> tuple[bool, object]:
    for token in tokens:
        members, items = _inside(document)
        if members is not None and token in members:
            document = members[token]
        elif items is not None and _is_index(items, token):
            document = items[int(token)]
        else:
            return False, None
    return True, document


def _put(document: object, tokens: Sequence[str], value: object) -> None:
    for depth, token in enumerate(tokens, 1):
        is_last = depth == len(tokens)
        members, items = _inside(document)
        if members is not None:
            if is_last:
                members[token] = value
            document = members.setdefault(token, {})
        elif items is not None and _is_index(items, token):
            if is_last:
                items[int(token)] = value
            document = items[int(token)]
        else:
            return  # the author made a scalar of its parent: there is no place to put it back


def _inside(document: object) -> tuple[dict[str, object] | None, list[object] | None]:
    """Return *document* as an object or as a list, whichever it is."""
    if isinstance(document, dict):
        return cast("dict[str, object]", document), None
    return None, cast("list[object]", document) if isinstance(document, list) else None


def _is_index(items: list[object], token: str) -> bool:
    return token.isascii() and token.isdigit() and int(token) < len(items)


def _unescaped(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~")


def _drop(document: object, tokens: Sequence[str]) -> None:
    for depth, token in enumerate(tokens, 1):
        is_last = depth == len(tokens)
        if isinstance(document, dict):
            members = cast("dict[str, object]", document)
            document = members.pop(token, None) if is_last else members.get(token)
        elif isinstance(document, list) and token.isascii() and token.isdigit():
            items = cast("list[object]", document)
            if int(token) >= len(items):
                return
            document = items[int(token)]
            if is_last:
                items[int(token)] = None  # later elements keep their places
        else:
            return
