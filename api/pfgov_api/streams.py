"""Long answers: exports in pieces, and events as they are committed.

An export is written by a thread, with a reader of its own, to a temporary file and sent from there: neither a long nor
a slow reader holds up anybody else.  A stream of events reads positions from the ledger and never from memory: whoever
resumes with the last position it saw misses nothing and sees nothing twice.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from typing import IO, Any, Final

import msgspec

from pfgov.engine.exporting import StoredLog, stored_log
from pfgov.engine.reading import LedgerReader, Recorded
from pfgov.errors import BusyError, ForbiddenError, InvalidError, StateConflictError
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
HEARTBEAT: Final = b": still here\n\n"

_encode = msgspec.json.Encoder().encode


async def export_stream(
    call: Call, *, subject: str | None = None, start: int = 0, stop: int | None = None
) -> Answer:
    """Return an export as a stream: of *subject*, of a range, or of everything.

    Raises:
        StateConflictError: ``export.index_needed``, a subject's export needs a committed index first.
    """
    service = call.service
    if call.flag("fresh"):
        await asyncio.to_thread(service.engine.commit_index)
        service.news.publish()

    def write(log: StoredLog, out: IO[bytes]) -> None:
        if subject is not None:
            export.write_subject(log, subject, out)
        elif start or stop is not None:
            last = log.size() if stop is None else stop
            if not start < last <= log.size():
                raise InvalidError(
                    f"{start}..{last} is no range of a ledger of {log.size()} entries",
                    pointer="/query",
                )
            export.write_range(log, start, last, out)
        else:
            export.write_full(log, out)

    name = "".join(
        letter if letter.isalnum() or letter in "._-" else "-"
        for letter in subject or service.origin
    )
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.lineage.jsonl"',
        "Cache-Control": "no-store",
    }
    file = await asyncio.to_thread(_written, service, write)
    return Answer(stream=_pieces(file), media_type=MEDIA_TYPE, headers=headers)


def _written(service: Service, write: Callable[[StoredLog, IO[bytes]], None]) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed when the last piece is sent
    try:
        with LedgerReader(service.engine.layout.directory) as reader, stored_log(reader) as log:
            write(log, file)
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


async def events(call: Call) -> Answer:
    """Return server-sent events: every entry from ``Last-Event-ID`` on, then each new one.

    Raises:
        BusyError: too many streams are open.
        ForbiddenError: a member's key asks for more than concerns its member.
    """
    service = call.service
    if service.news.count >= STREAMS_MAX:
        raise BusyError(
            f"{STREAMS_MAX} streams are open already",
            hint="close some, or poll /api/ledger/entries",
        )
    member = call.query.get("member")
    _may_hear(call, member)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Answer(
        stream=event_stream(service, _start(call), member),
        media_type="text/event-stream",
        headers=headers,
    )


def _start(call: Call) -> int:
    """Return the first position to send: after ``Last-Event-ID``, else after ``after``, else what comes next."""
    last = call.headers.get("last-event-id", call.query.get("after", ""))
    if not last:
        return call.service.reader.head().size
    if not last.isascii() or not last.isdigit() or len(last) > 15:
        raise InvalidError(
            f"Last-Event-ID is {last[:32]!r}, not a position", pointer="/header/Last-Event-ID"
        )
    return int(last) + 1


def _may_hear(call: Call, member: str | None) -> None:
    if {"auditor", "operator", "admin"} & set(call.principal.rights):
        return
    if member is None or f"member:{member}" not in call.principal.rights:
        raise ForbiddenError("a member's key hears only of its own member", hint="add ?member=ID")


async def event_stream(
    service: Service,
    start: int,
    member: str | None = None,
    *,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> AsyncIterator[bytes]:
    """Yield the entries from *start* on as server-sent events, for as long as the server runs."""
    loop = asyncio.get_running_loop()
    position = start
    with service.news.subscription() as news:
        yield b"retry: 1000\n\n"
        said = loop.time()
        while not service.stopping.is_set():
            news.clear()
            wanted = EntryFilter(start=position, limit=BATCH)
            found = await asyncio.to_thread(service.reader.entries, wanted)
            shown = b"".join(
                _event(one) for one in found if member is None or concerns(one.event, member)
            )
            if found:
                position = found[-1].row.seq + 1
            if shown:
                yield shown
                said = loop.time()
            if found:
                continue
            if loop.time() - said >= heartbeat_seconds:
                yield HEARTBEAT
                said = loop.time()
            # Not wait_for: before Python 3.12 it may swallow the cancellation that ends this stream.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(POLL_SECONDS, heartbeat_seconds)):
                    await news.wait()


def _event(recorded: Recorded) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        recorded.row.seq,
        recorded.row.type.encode(),
        _encode(show_entry(recorded)),
    )


def concerns(event: Any, member: str) -> bool:
    """Whether *event* is about *member*: its own life, or a packet that it gets, loses or is offered."""
    if getattr(event, "member_id", None) == member:
        return True
    for name in ("owner", "source", "target"):
        if getattr(getattr(event, name, None), "member_id", None) == member:
            return True
    return False
