"""Finding the commitments that an entry's body names.

A commitment is an object with exactly the members ``digest`` (64 hexadecimal digits) and ``size``;
the name of the member that holds it is the commitment's field (``FORMAT.md``, "Attachments").
This module opens nothing.
"""

from collections.abc import Iterator

from pfgov_ledger import entry
from pfgov_ledger.canonical import Json


def named_in(body: dict[str, Json], raw: bytes) -> Iterator[tuple[str, str]]:
    """Yield (digest, field) for every commitment in *body*, which was parsed from *raw*."""
    if b'"digest":"' in raw and b'"size":' in raw:
        yield from _walk(body)


def _walk(body: Json) -> Iterator[tuple[str, str]]:
    pending: list[tuple[str, Json]] = [("", body)]
    while pending:
        field, value = pending.pop()
        if isinstance(value, dict):
            digest = value.get("digest")
            if (
                len(value) == 2
                and "size" in value
                and isinstance(digest, str)
                and entry.HEX32.fullmatch(digest) is not None
            ):
                yield digest, field
            else:
                pending.extend(value.items())
        elif isinstance(value, list):
            pending.extend((field, item) for item in value)
