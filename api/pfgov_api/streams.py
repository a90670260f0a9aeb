"""Long answers: exports in pieces, and events as they are committed.

A long answer lasts no longer than the grant of whoever asked for it.  An export is written by a thread, with a reader
of its own, to a temporary file and sent from there: neither a long nor a slow reader holds up anybody else.  A stream
of events reads positions from the ledger and never from memory: whoever resumes with the last position it saw misses
nothing and sees nothing twice.
"""

import asyncio
import contextlib
import tempfile
import weakref
from collections.abc import AsyncIterator, Generator
from dataclasses import asdict, dataclass, field
from typing import IO, Final

import msgspec

from pfgov.app.hosting import POLL_SECONDS
from pfgov.app.ledger import ExportWanted
from pfgov.app.local import LOCAL, LocalLedger, Recorded, shown
from pfgov.app.translating import TRANSLATED_ENTRIES_MAX, translated
from pfgov.app.visibility import READS_ALL, concerns, hears_own_alone
from pfgov.core.events import PacketCreated
from pfgov.errors import (
    BusyError,
    EngineStoppedError,
    ForbiddenError,
    InvalidError,
    StateConflictError,
)
from pfgov.lineage import FORMATS, Format
from pfgov_api.grants import NOBODY, Grant
from pfgov_api.limits import STREAMS_MAX
from pfgov_api.operations import Answer, Call, Parameter
from pfgov_api.service import Service
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.export import Written

PIECE: Final = 65_536
BATCH: Final = 200
HEARTBEAT_SECONDS: Final = 15.0
MEDIA_TYPE: Final = "application/jsonl"
OTHER_MEDIA_TYPES: Final = tuple(
    sorted({row.media_type for row in FORMATS.values()} - {MEDIA_TYPE})
)
"""Of exports in the format of others."""

WRITTEN: Final = "Pfgov-Export"
"""The header that says what is in an export: the kind, the counts, and the digest before the trailer."""

LEFT_OUT: Final = "Pfgov-Left-Out"
"""The header that says what an export has and the format that was asked for has no place for."""

AS: Final = "as"
AS_FORMAT: Final = Parameter(
    AS,
    {"type": "string", "enum": list(FORMATS)},
    f"in another format, up to {TRANSLATED_ENTRIES_MAX} entries: docs/reference/lineage-formats.md",
)

HEARTBEAT: Final = b": still here\n\n"

OWN_PACKETS_MAX: Final = 10_000
"""Of so many packets a stream remembers whether its listener submitted them; then it asks again."""

_encode = msgspec.json.Encoder().encode


async def export_stream(call: Call, wanted: ExportWanted) -> Answer:
    """Return an export as a stream: of a subject, of a range, or of everything.

    Raises:
        StateConflictError: ``export.index_needed``, a subject's export needs a committed index first.
    """
    service = call.service
    require_room(service, call.grant)
    name = "".join(
        letter if letter.isalnum() or letter in "._-" else "-"
        for letter in wanted.subject or service.origin
    )
    share = call.grant.share
    service.exports.take(share)
    try:
        file, written, row = await service.at_length(share, _written, call, wanted)
    except BaseException:
        service.exports.give(share)
        raise
    headers = {
        "Content-Disposition": f'attachment; filename="{name}{row.suffix if row else ".lineage.jsonl"}"',
        "Cache-Control": "no-store",
        WRITTEN: ", ".join(f"{name}={value}" for name, value in asdict(written).items()),
    }
    pieces = _pieces(file, service, call.grant)
    if row is not None:
        headers[LEFT_OUT] = "; ".join(row.lacks)
    # When it is sent, cut off, or never begun: all of them end with the generator.
    weakref.finalize(pieces, service.exports.give, share).atexit = False
    media_type = MEDIA_TYPE if row is None else row.media_type
    return Answer(stream=pieces, media_type=media_type, headers=headers)


def require_room(service: Service, grant: Grant) -> None:
    """Refuse a stream that would be one too many, while that can still be said.

    Raises:
        BusyError: the server sends as many as it can.
        TooManyError: the principal has its share of them.
    """
    if service.streams.total >= STREAMS_MAX:
        raise BusyError(
            f"{STREAMS_MAX} streams are open already",
            hint="close some, or poll /api/ledger/entries",
        )
    service.streams.check(grant.share)


@contextlib.contextmanager
def counted(service: Service, grant: Grant) -> Generator[bool]:
    """Count a stream while it is sent; say whether there was room, for many may have been promised the same."""
    if service.streams.total >= STREAMS_MAX or not service.streams.has_room(grant.share):
        yield False
        return
    service.streams.take(grant.share)
    try:
        yield True
    finally:
        service.streams.give(grant.share)


def _written(call: Call, wanted: ExportWanted) -> tuple[IO[bytes], Written, Format | None]:
    if AS in call.query:
        return _translated(call, wanted, call.query[AS])
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed when the last piece is sent
    try:
        with call.service.apart(call.caller) as ledger:
            written = ledger.export(wanted, file)
    except LedgerError as error:
        file.close()
        raise StateConflictError(str(error), code=error.code) from error
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file, written, None


def _translated(
    call: Call, wanted: ExportWanted, name: str
) -> tuple[IO[bytes], Written, Format | None]:
    service = call.service
    try:
        with service.apart(call.caller) as ledger:
            return translated(
                lambda file: ledger.export(wanted, file), name, service.anchor, service.log_signer
            )
    except LedgerError as error:
        raise StateConflictError(str(error), code=error.code) from error


async def _pieces(file: IO[bytes], service: Service, grant: Grant) -> AsyncIterator[bytes]:
    with file, counted(service, grant) as has_room:
        while has_room and (piece := await asyncio.to_thread(file.read, PIECE)):
            if not grant.holds():
                raise ConnectionAbortedError("the grant ended in the middle of an export")
            yield piece


async def events(call: Call) -> Answer:
    """Return server-sent events: every entry from ``Last-Event-ID`` on, then each new one.

    Raises:
        BusyError: too many streams are open.
        TooManyError: too many of this principal's.
        ForbiddenError: a member's key asks for more than concerns its member, a submitter's for what is about others.
        StateConflictError: ``entry.ahead``, it is to resume where the ledger has not come to.
    """
    service, member, packet = call.service, call.query.get("member"), call.query.get("packet")
    require_room(service, call.grant)
    own = call.ledger if hears_own_alone(call.principal, member) else None
    if own is not None and packet is not None and not await call.reading(own.has_submitted, packet):
        raise ForbiddenError(
            f"a submitter's key hears only about packets that were submitted with it; {packet} is none",
            hint=f"listen once it is submitted; {READS_ALL}",
        )
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Answer(
        stream=event_stream(
            service,
            await _start(call),
            Wanted(member, frozenset(call.several("type")), packet, own),
            grant=call.grant,
            is_named=call.flag("named"),
        ),
        media_type="text/event-stream",
        headers=headers,
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries a stream sends.

    Attributes:
        member: Only what concerns this member.
        types: Only entries of these types; of all, if there are none.
        packet: Only what is about this packet.
        own: The ledger as a listener sees it who hears only about packets that it submitted.
    """

    member: str | None = None
    types: frozenset[str] = frozenset()
    packet: str | None = None
    own: LocalLedger | None = None
    _known: dict[str, bool] = field(default_factory=dict[str, bool])

    def fits(self, one: Recorded) -> bool:
        """Whether *one* is sent."""
        kind, _, name = one.row.subject.partition("/")
        return (
            (not self.types or one.row.type in self.types)
            and (self.member is None or concerns(one.event, self.member))
            and (self.packet is None or (kind, name) == ("packet", self.packet))
            and (self.own is None or (kind == "packet" and self._is_own(self.own, name, one)))
        )

    def _is_own(self, own: LocalLedger, packet_id: str, one: Recorded) -> bool:
        if len(self._known) >= OWN_PACKETS_MAX:
            self._known.clear()
        if isinstance(one.event, PacketCreated):  # it may have been spoken of before
            self._known[packet_id] = one.event.submitted_by == own.principal.id
        if packet_id not in self._known:
            self._known[packet_id] = own.has_submitted(packet_id)
        return self._known[packet_id]


async def _start(call: Call) -> int:
    """Return the first position to send: after ``Last-Event-ID``, else after ``after``, else what comes next.

    Raises:
        InvalidError: that is no position.
        StateConflictError: ``entry.ahead``, the ledger has not come as far.
    """
    last = call.headers.get("last-event-id", call.query.get("after", ""))
    size = await call.read(LocalLedger.size)
    if not last:
        return size
    if not last.isascii() or not last.isdigit() or len(last) > 15:
        raise InvalidError(
            f"Last-Event-ID is {last[:32]!r}, not a position", pointer="/header/Last-Event-ID"
        )
    if int(last) >= size:
        raise StateConflictError(
            f"there is no entry {last} to go on after; the ledger holds 0 to {size - 1}",
            code="entry.ahead",
            hint="the ledger was restored or is another one: look again, and start without Last-Event-ID",
        )
    return int(last) + 1


async def event_stream(
    service: Service,
    start: int,
    wanted: Wanted | None = None,
    *,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    grant: Grant = NOBODY,
    is_named: bool = False,
) -> AsyncIterator[bytes]:
    """Yield the entries from *start* on as server-sent events, for as long as the server runs and *grant* holds.

    Without *wanted* there are all.  An event without a name is what a browser's ``onmessage`` hears; *is_named* gives
    it its entry's type.
    The grant is looked at before anything is sent, and at least every ``POLL_SECONDS`` while nothing is.
    """
    loop = asyncio.get_running_loop()
    position, ledger = start, service.ledger(LOCAL)
    wanted = wanted or Wanted()
    with counted(service, grant) as has_room, service.news.subscription() as news:
        yield b"retry: 1000\n\n"
        said = loop.time()
        while has_room and not service.stopping.is_set() and grant.holds():
            news.clear()
            try:
                found, following = await service.reading.run(
                    grant.share, _since, ledger, position, wanted
                )
            except EngineStoppedError:
                break
            shown = b"".join(_event(one, is_named=is_named) for one in found)
            is_news, position = following > position, following
            if not grant.holds():
                break
            if shown:
                yield shown
                said = loop.time()
            if is_news:
                continue
            if loop.time() - said >= heartbeat_seconds:
                yield HEARTBEAT
                said = loop.time()
            # Not wait_for: before Python 3.12 it may swallow the cancellation that ends this stream.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(POLL_SECONDS, heartbeat_seconds)):
                    await news.wait()


def _since(ledger: LocalLedger, position: int, wanted: Wanted) -> tuple[list[Recorded], int]:
    """Return what is wanted of the next entries from *position* on, and the position after them."""
    found = ledger.since(position, BATCH)
    following = found[-1].row.seq + 1 if found else position
    return [one for one in found if wanted.fits(one)], following


def _event(recorded: Recorded, *, is_named: bool) -> bytes:
    name = b"event: %s\n" % recorded.row.type.encode() if is_named else b""
    return b"id: %d\n%sdata: %s\n\n" % (recorded.row.seq, name, _encode(shown(recorded)))
