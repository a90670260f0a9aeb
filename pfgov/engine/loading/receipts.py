"""Receipts from what is stored: for an idempotency key that comes again, and after a crash.

A command is found again by the id that its first entry carries at the place where it was to stand.  This module
only reads.
"""

import msgspec

from pfgov.core import events as e
from pfgov.engine.answers import Receipt, Request, decode_refusal
from pfgov.engine.loading.intact import RowDecoder, unreadable
from pfgov.errors import PfgovError
from pfgov.storage.port import AnswerRow, EntryFilter, EntryRow, Queries


class _Entry(msgspec.Struct):
    """The part of an entry's bytes that is read here."""

    type: str
    body: msgspec.Raw


class _Principal(msgspec.Struct):
    id: str


class _Recorded(msgspec.Struct):
    id: str
    principal: _Principal


class _First(msgspec.Struct):
    command: _Recorded | None = None


_ENTRY = RowDecoder(_Entry, "an entry")
_FIRST = RowDecoder(_First, "an entry")


def event_of(row: EntryRow) -> e.Event:
    """Return the event that an entry records.

    Raises:
        StoreCorruptError: ``store.altered``, the entry is not one that this version knows.
    """
    found = _ENTRY.decode(row.raw)
    try:
        return e.decode_body(found.type, bytes(found.body))
    except (KeyError, msgspec.MsgspecError) as error:
        raise unreadable(f"entry {row.seq}", error) from error


def principal_of(row: EntryRow) -> str | None:
    """Return the id of who asked for the command that an entry records; None for the further entries of a command."""
    command = _FIRST.decode(bytes(_ENTRY.decode(row.raw).body)).command
    return None if command is None else command.principal.id


def erasure_of(row: EntryRow) -> e.AttachmentErased:
    """Return what an ``attachment_erased`` entry records.

    Raises:
        StoreCorruptError: ``store.altered``, only its row says that it is one.
    """
    event = event_of(row)
    if not isinstance(event, e.AttachmentErased):
        raise unreadable(f"entry {row.seq}", TypeError(f"it is {event.type}"))
    return event


def receipt_of(queries: Queries, first: int, length: int, *, replayed: bool) -> Receipt:
    """Return the receipt of the command that made the entries from *first* on."""
    rows = tuple(queries.entries(EntryFilter(start=first, stop=first + length)))
    return Receipt(first, rows, tuple(map(event_of, rows)), queries.size(), replayed=replayed)


def replayed(queries: Queries, answer: AnswerRow) -> Receipt:
    """Return the receipt that an idempotency key was given before: of one command of who asked, and all of it.

    Raises:
        StoreCorruptError: ``store.altered``, the stored answer is another.
    """
    if not _is_command(queries, answer):
        raise unreadable("a stored answer", LookupError("it is not one command of who asked"))
    return receipt_of(queries, answer.first, answer.length, replayed=True)


def _is_command(queries: Queries, answer: AnswerRow) -> bool:
    """Whether the entries of *answer* are all that one command of its principal made."""
    at, stop = answer.first, answer.first + answer.length
    for row in queries.entries(EntryFilter(start=at, stop=stop + 1)):
        asked = principal_of(row)
        if at == stop:
            return asked is not None and answer.length > 0
        if row.seq != at or asked != (answer.principal if at == answer.first else None):
            return False
        at += 1
    return at == stop and answer.length > 0


def refused(stored: bytes) -> PfgovError:
    """Return the refusal that an idempotency key was given before.

    Raises:
        StoreCorruptError: ``store.altered``, nobody was given this.
    """
    try:
        return decode_refusal(stored)
    except msgspec.MsgspecError as error:
        raise unreadable("a stored answer", error) from error


def find(queries: Queries, request: Request) -> Receipt | None:
    """Return *request*'s receipt if its command was recorded where it was to stand, else None."""
    row = queries.entry(request.first) if request.first >= 0 else None
    if row is None:
        return None
    command = _FIRST.decode(bytes(_ENTRY.decode(row.raw).body)).command
    if command is None or command.id != request.command_id:
        return None
    return receipt_of(queries, request.first, len(request.events), replayed=False)
