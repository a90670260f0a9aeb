"""Long answers: exports in pieces, and events as they are committed.

An export is written by a thread to a temporary file and sent from there, so that a slow reader never holds a view of
the database.  A stream of events reads positions from the ledger and never from memory: whoever resumes with the last
position it saw misses nothing and sees nothing twice.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from typing import IO, Any, Final

import msgspec

from pfgov.engine.exporting import stored_log
from pfgov.errors import BusyError, StateConflictError
from pfgov.storage.queries import EntryFilter
from pfgov_api.answers import show_entry
from pfgov_api.operations import Answer, Call
from pfgov_api.service import POLL_SECONDS, STREAMS_MAX, Service
from pfgov_ledger import export
from pfgov_ledger.errors import LedgerError

PIECE: Final = 65_536
BATCH: Final = 200
HEARTBEAT_SECONDS: Final = 15.0
MEDIA_TYPE: Final = "application/jsonl"

_encode = msgspec.json.Encoder(order="sorted").encode


async def export_stream(
    call: Call, *, subject: str | None = None, start: int = 0, stop: int | None = None
) -> Answer:
    """Return an export as a stream: of *subject*, of a range, or of everything.

    Raises:
        StateConflictError: ``export.index_needed``, a subject's export needs a committed index first.
    """
    reader = call.service.reader
    if call.query.get("fresh") == "true":
        await _index_for(call)

    def write(out: IO[bytes]) -> None:
        with stored_log(reader) as log:
            if subject is not None:
                export.write_subject(log, subject, out)
            elif start or stop is not None:
                export.write_range(log, start, log.size() if stop is None else stop, out)
            else:
                export.write_full(log, out)

    name = (subject or call.service.origin).replace("/", "-")
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.lineage.jsonl"',
        "Cache-Control": "no-store",
    }
    file = await asyncio.to_thread(_written, write)
    return Answer(stream=_pieces(file), media_type=MEDIA_TYPE, headers=headers)


def _written(write: Callable[[IO[bytes]], None]) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed when the last piece is sent
    try:
        write(file)
    except LedgerError as error:
        file.close()
        raise StateConflictError(str(error), code=error.code) from error
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece


async def _index_for(call: Call) -> None:
    """Commit a fresh index, so that the export covers everything up to now."""
    from pfgov import commands as c

    await call.service.submit(c.CommitIndex(), principal=c.ENGINE, request_id=call.request_id)


async def events(call: Call) -> Answer:
    """Return server-sent events: every entry from ``Last-Event-ID`` on, then each new one."""
    service = call.service
    if service.news.count >= STREAMS_MAX:
        raise BusyError(
            f"{STREAMS_MAX} streams are open already",
            hint="close some, or poll /api/ledger/entries",
        )
    last = call.headers.get("last-event-id", call.query.get("after", ""))
    start = int(last) + 1 if last.isascii() and last.isdigit() and len(last) < 16 else 0
    if last == "" and call.query.get("after") is None:
        start = service.reader.head().size
    member = call.query.get("member")
    _may_hear(call, member)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Answer(
        stream=_event_stream(service, start, member),
        media_type="text/event-stream",
        headers=headers,
    )


def _may_hear(call: Call, member: str | None) -> None:
    from pfgov.errors import ForbiddenError

    if {"auditor", "operator", "admin"} & set(call.principal.rights):
        return
    if member is None or f"member:{member}" not in call.principal.rights:
        raise ForbiddenError("a member's key hears only of its own member", hint="add ?member=ID")


async def _event_stream(service: Service, start: int, member: str | None) -> AsyncIterator[bytes]:
    yield b"retry: 1000\n\n"
    position = start
    quiet = 0.0
    with service.news.subscription() as news:
        while not service.stopping.is_set():
            news.clear()
            found = service.reader.entries(EntryFilter(start=position, limit=BATCH))
            for recorded in found:
                position = recorded.row.seq + 1
                if member is None or concerns(recorded.event, member):
                    yield _event(recorded)
                    quiet = 0.0
            if found:
                await asyncio.sleep(0)
                continue
            try:
                await asyncio.wait_for(news.wait(), POLL_SECONDS)
            except TimeoutError:
                quiet += POLL_SECONDS
                if quiet >= HEARTBEAT_SECONDS:
                    quiet = 0.0
                    yield b": still here\n\n"


def _event(recorded: Any) -> bytes:
    view = show_entry(recorded)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        recorded.row.seq,
        recorded.row.type.encode(),
        _encode(view),
    )


def concerns(event: Any, member: str) -> bool:
    """Whether *event* is about *member*: its own life, or a packet that it gets, loses or is offered."""
    if getattr(event, "member_id", None) == member:
        return True
    for name in ("owner", "source", "target"):
        if getattr(getattr(event, name, None), "member_id", None) == member:
            return True
    return False
