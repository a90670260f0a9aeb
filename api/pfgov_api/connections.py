"""Connections that take too much: so many bytes of headers, so much time for them, for a body, for taking an answer.

uvicorn waits for ever for the first byte, for the end of the headers, for the end of a body, and for a reader that does
not read.  Here a connection is closed when its time is over, with a 408 where nothing was answered yet.  The clock is
looked at only when a request is not complete with the bytes that have come, so that most requests cost nothing.

h11 bounds headers only while they are incomplete; here they are measured as they are taken, whole or not.
"""

import asyncio
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, cast

import h11
import msgspec
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from pfgov.accepting import ACCEPTED_AT_ONCE
from pfgov.room import Room
from pfgov_api.limits import (
    BODY_SECONDS,
    HEAD_BYTES_MAX,
    HEAD_SECONDS,
    STALLED_BYTES,
    STALLED_SECONDS,
)
from pfgov_api.plain import Plain, PlainCycle, plain_request
from pfgov_api.problems import MEDIA_TYPE, HeadTooLargeError, HttpError, TooSlowError, problem
from pfgov_api.write_coalescing import CoalescingTransport

_encode: Final = msgspec.json.Encoder().encode


class BoundedReader(h11.Connection):
    """h11's side of a connection, which takes no head of more than ``HEAD_BYTES_MAX``."""

    is_head_too_large = False

    @property
    def is_fresh(self) -> bool:
        """Whether nothing of a request has come that is not answered."""
        return (
            not self._receive_buffer and self.their_state is h11.IDLE and self.our_state is h11.IDLE
        )

    def next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        """Return what h11 finds next.

        Raises:
            RemoteProtocolError: it is no HTTP, or a head is too large.
        """
        if self.their_state is not h11.IDLE:
            return super().next_event()
        before = len(self._receive_buffer)
        try:
            event = super().next_event()
        except h11.RemoteProtocolError:
            self.is_head_too_large = before > HEAD_BYTES_MAX
            raise
        if before - len(self._receive_buffer) > HEAD_BYTES_MAX:
            self.is_head_too_large = True
            raise h11.RemoteProtocolError("the head is too large", error_status_hint=431)
        if isinstance(event, h11.Request) and not event.target.startswith(b"/"):
            return _in_origin_form(event)
        return event


_ABSOLUTE: Final = re.compile(rb"https?://(?P<host>[^/?#@]+)(?P<path>/[^#]*)?", re.IGNORECASE)


def _in_origin_form(request: h11.Request) -> h11.Request:
    """Return *request* with a target that begins with a slash, where it named the whole URL (RFC 9112, 3.2.2).

    The host is then the one in the target, whatever the header says.  ``*`` stays as it is.

    Raises:
        RemoteProtocolError: it is another form, which only proxies are sent.
    """
    if request.target == b"*":
        return request
    found = _ABSOLUTE.fullmatch(request.target)
    if found is None:
        raise h11.RemoteProtocolError("the request target is no path and no URL")
    headers = [(name, value) for name, value in request.headers if name != b"host"]
    return h11.Request(
        method=request.method,
        target=found["path"] or b"/",
        headers=[(b"host", found["host"]), *headers],
        http_version=request.http_version,
    )


class BoundedProtocol(H11Protocol):
    """uvicorn's connection, with an end to its patience."""

    conn: BoundedReader
    draw_id: Callable[[], str]
    room: Room
    head_seconds: float = HEAD_SECONDS
    body_seconds: float = BODY_SECONDS
    stalled_seconds: float = STALLED_SECONDS

    _later: bytes = b""
    _waiting: asyncio.TimerHandle | None = None
    _waiting_for: object = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for headers."""
        self.conn = BoundedReader(h11.SERVER, HEAD_BYTES_MAX)
        held = CoalescingTransport(transport, self.loop, self._watch_rest)
        super().connection_made(held)
        self.room.come(self)
        self._expect("headers", self.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Take what came, and see what is still missing."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if isinstance(cycle, PlainCycle) and not cycle.response_complete:
            self._later += data  # the next request: it is read when this one is answered
            self.flow.pause_reading()
            return
        if (cycle is None or cycle.response_complete) and self.conn.is_fresh and self._has_room():
            plain = plain_request(data)
            if plain is not None:
                self._take(data, plain)
                return
        super().data_received(data)
        self._look("headers")

    def on_response_complete(self) -> None:
        """See what is missing now; a connection that is idle, and no more than that, is left to keep-alive."""
        super().on_response_complete()
        self.room.use(self)
        self._look("headers" if self.conn.trailing_data[0] else None)
        if self._later and not self.transport.is_closing():
            later, self._later = self._later, b""
            self.data_received(later)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self.room.go(self)
        self._expect(None)
        self._watch_nobody()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for the reader."""
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        """It reads."""
        self._watch_nobody()
        self._watch_rest()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, as a problem; in the middle of an answer there is nothing to say."""
        if self.conn.is_head_too_large:
            self._end(_too_large())
        else:
            self._end(HttpError(msg.removesuffix(".").lower()))

    def _should_upgrade(self) -> bool:
        """Speak HTTP/1.1 and nothing else, without a word about it: an upgrade may be ignored (RFC 9110, 7.8)."""
        return False

    def _has_room(self) -> bool:
        """Whether another request may be answered; uvicorn refuses it otherwise."""
        most = self.limit_concurrency
        return most is None or (len(self.connections) < most and len(self.tasks) < most)

    @property
    def waits_for_caller(self) -> bool:
        """Whether the caller has to send more, or to take what was sent; what is being answered does not."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return (
            cycle is None or cycle.response_complete or cycle.more_body or self._stalled is not None
        )

    def make_room(self) -> None:
        """Close: another has come, and this one waits for its caller."""
        if self._stalled is not None:
            self.transport.abort()
        elif self._waiting_for is not None:
            self._too_late()
        else:
            self.transport.close()

    def _take(self, data: bytes, plain: Plain) -> None:
        """Have a request answered that came whole; as ``H11Protocol.handle_events``, without h11."""
        self._unset_keepalive_if_required()
        self._expect(None)
        scope: Any = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": plain.method,
            "root_path": self.root_path,
            "path": self.root_path + plain.path,
            "raw_path": (self.root_path + plain.path).encode(),
            "query_string": plain.query,
            "headers": plain.headers,
            "state": self.app_state.copy(),
        }
        self.scope, self.headers = scope, plain.headers
        self.cycle = cycle = PlainCycle(
            scope=scope,
            conn=self.conn,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            on_response=self.on_response_complete,
        )
        cycle.begin(data, plain)
        app = cast("Any", self.app)  # pyright: ignore[reportUnknownMemberType]
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    # --- waiting -----------------------------------------------------------------------------

    def _look(self, next_request: str | None) -> None:
        """Wait for what the present request lacks; after it, for *next_request*."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None:
            self._expect("headers", self.head_seconds)
        elif cycle.more_body:
            self._expect(cycle, self.body_seconds)
        elif cycle.response_complete:
            self._expect(next_request, self.head_seconds)
        else:
            self._expect(None)  # how long the answer takes is ours to say

    def _expect(self, what: object, seconds: float = 0.0) -> None:
        """Wait for *what*, for no longer than *seconds* since it was first waited for; None waits for nothing."""
        if what is self._waiting_for:
            return
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        self._waiting_for = what
        if what is not None:
            self._waiting = self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        is_silent = self._waiting_for == "headers" and not self.conn.trailing_data[0]
        what = "headers" if self._waiting_for == "headers" else "body"
        error = TooSlowError(f"the {what} did not arrive in time", hint="send the request at once")
        self._end(None if is_silent else error)

    def _end(self, error: HttpError | None) -> None:
        """Close, after saying why, if anything was asked and nothing was answered."""
        if self.transport.is_closing():
            return
        cycle = cast("RequestResponseCycle | None", self.cycle)
        # The bytes that are missing or wrong belong to the last request, unless that is whole and answered.
        if cycle is not None and not cycle.more_body and cycle.response_complete:
            cycle = None
        if error is not None and (cycle is None or not cycle.response_started):
            self.transport.write(_refusal(error, self.draw_id()))
        if cycle is not None:
            cycle.disconnected = True  # whoever waits for the body learns that it does not come
            cycle.message_event.set()
        self.transport.close()

    def _watch_nobody(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _watch_rest(self) -> None:
        """Wait for the reader of what is left, too: a connection that is closed stays until all was taken."""
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            self._watch_reader()

    def _watch_reader(self) -> None:
        """Look again after a while; a reader that took next to nothing until then is cut off."""
        left = self.transport.get_write_buffer_size()

        def look() -> None:
            if self.transport.get_write_buffer_size() > left - STALLED_BYTES:
                self.transport.abort()
            else:
                self._watch_reader()

        if self._stalled is not None:
            self._stalled.cancel()
        self._stalled = self.loop.call_later(self.stalled_seconds, look)


def _too_large() -> HeadTooLargeError:
    return HeadTooLargeError(
        f"the request line and the headers are more than {HEAD_BYTES_MAX} bytes",
        hint="ask for less at once, or send less with each request",
    )


def _refusal(error: HttpError, request_id: str) -> bytes:
    said = problem(error, f"urn:request:{request_id}")
    body = _encode(said)
    lines = (
        f"HTTP/1.1 {said['status']} {HTTPStatus(said['status']).phrase}",
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(body)}",
        f"x-request-id: {request_id}",
        "cache-control: no-store",
        "connection: close",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def uvicorn_config(
    app: Any, draw_id: Callable[[], str], *, connections_max: int, **more: Any
) -> uvicorn.Config:
    """Return what uvicorn is told for *app*, whatever it serves; *more* is of that service alone.

    Beyond *connections_max* uvicorn refuses whatever is asked, and counts connections on which nothing is.  These make
    room before it comes to that.
    """
    return uvicorn.Config(
        app,
        http=bounded(draw_id, room=Room(connections_max - 2 * ACCEPTED_AT_ONCE)),
        limit_concurrency=connections_max,
        loop="asyncio",  # whatever else is installed: what is promised of connections is tried with this one
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # who asks is said by its key; nothing here believes X-Forwarded-For
        server_header=False,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        **more,
    )


def bounded(draw_id: Callable[[], str], *, room: Room, **seconds: Any) -> type[BoundedProtocol]:
    """Return the class of connections that name their refusals by *draw_id*; *seconds* are for tests."""
    known = {"draw_id": staticmethod(draw_id), "room": room}
    return type("Connection", (BoundedProtocol,), {**known, **seconds})
