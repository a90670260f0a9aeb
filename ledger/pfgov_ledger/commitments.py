"""Finding the commitments that an entry's body names.

A commitment is an object with exactly the members ``digest`` (64 hexadecimal digits) and ``size``;
the name of the member that holds it is the commitment's field (``FORMAT.md``, "Attachments").
This module opens nothing.
"""

from typing import TypeAlias

from pfgov_ledger import entry
from pfgov_ledger.canonical import Json

Named: TypeAlias = tuple[str, str]
"""(digest, field)."""


def is_commitment(members: dict[str, Json]) -> bool:
    """Whether an object is a commitment."""
    digest = members.get("digest")
    return (
        len(members) == 2
        and "size" in members
        and isinstance(digest, str)
        and entry.HEX32.fullmatch(digest) is not None
    )


def named_in(body: dict[str, Json], raw: bytes) -> list[Named]:
    """Every commitment in *body*, which was parsed from *raw*."""
    found: list[Named] = []
    pending: list[tuple[str, Json]] = []
    if b'"digest":"' in raw and b'"size":' in raw:
        pending.append(("", body))
    while pending:
        field, value = pending.pop()
        if isinstance(value, dict):
            if is_commitment(value):
                found.append((str(value["digest"]), field))
            else:
                pending.extend(value.items())
        elif isinstance(value, list):
            pending.extend((field, item) for item in value)
    return found
