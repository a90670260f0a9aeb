"""Connections of callers over HTTP: whoever shows no key can neither fill the server with them nor with log.

What waits for a request that does not end, or for a caller that takes nothing of its answer, is ended.  What is asked
and answered is not known here.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from pfgov.accepting import ACCEPTED_AT_ONCE, Scarcity
from pfgov.room import Room

CALLERS_MAX: Final = 256
"""Connections of callers; those that say nothing make room, and what more ask than that is answered 503."""

REQUEST_SECONDS: Final = 30.0
"""From the connection, or the first byte of a further request, to the end of the request."""

STALLED_SECONDS: Final = 30.0
"""How long an answer may wait for a caller that takes nothing of it."""

STALLED_BYTES: Final = 16_384
"""A caller has to take so many bytes in so many seconds, while there are some for it."""


def http_server(
    application: Any, host: str, port: int, *, listens: Callable[[int], None] | None = None
) -> Any:
    """Return uvicorn's server for *application*, which callers can neither fill with connections nor with log.

    Once it listens *listens* is told at which port: *port* may be 0, for any.
    """
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            handler = Scarcity(logging.getLogger("uvicorn.error"), lambda: self.should_exit)
            asyncio.get_running_loop().set_exception_handler(handler)
            await super().startup(sockets=sockets)
            if self.started and listens is not None:
                listens(self.servers[0].sockets[0].getsockname()[1])

    return Server(
        uvicorn.Config(
            application,
            host=host,
            port=port,
            log_config=None,
            ws="none",
            http=_impatient(),
            backlog=ACCEPTED_AT_ONCE,
            limit_concurrency=CALLERS_MAX,
        )
    )


def _impatient() -> type:
    """Return uvicorn's connection, with an end to its patience: it waits for ever for either side of an exchange."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    room = Room(CALLERS_MAX - 2 * ACCEPTED_AT_ONCE)

    class Impatient(_Guest, H11Protocol):
        sent: _Sent
        waiting: asyncio.TimerHandle | None = None
        reading: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            self.sent = _Sent(transport)
            counting: Any = self.sent
            super().connection_made(counting)
            room.come(self)
            self._look()
            self._watch_reader()

        def _should_upgrade(self) -> bool:
            """Speak HTTP/1.1 alone, without a word about it: the library logs each time that somebody asks for more."""
            return False

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._look()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            room.use(self)
            self._look()

        def connection_lost(self, exc: Exception | None) -> None:
            room.go(self)
            self._wait(is_needed=False)
            if self.reading is not None:
                self.reading.cancel()
            super().connection_lost(exc)

        def _look(self) -> None:
            self._wait(is_needed=self.waits_for_caller)

        def _wait(self, *, is_needed: bool) -> None:
            if self.waiting is not None and not is_needed:
                self.waiting.cancel()
                self.waiting = None
            elif self.waiting is None and is_needed:
                self.waiting = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

        def _watch_reader(self) -> None:
            """Look now and then, for as long as there is a connection, whether what was sent is taken.

            Closing a connection does not end it: what is still in the buffer waits for the caller, and nobody counts
            that.
            """
            taken, left = self.sent.taken, self.transport.get_write_buffer_size()

            def look() -> None:
                if self.sent.taken - taken < min(left, STALLED_BYTES):
                    self.transport.abort()
                else:
                    self._watch_reader()

            self.reading = self.loop.call_later(STALLED_SECONDS, look)

    return Impatient


class _Guest:
    """A connection that makes room where its caller says nothing."""

    cycle: Any
    transport: Any

    @property
    def waits_for_caller(self) -> bool:
        """Whether nothing is being answered."""
        cycle = self.cycle  # None until a request has come
        return cycle is None or bool(cycle.more_body or cycle.response_complete)

    def make_room(self) -> None:
        """End."""
        self.transport.abort()


class _Sent:
    """A transport that counts what it was given to send."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._given = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, data: bytes) -> None:
        self._given += len(data)
        self._inner.write(data)

    @property
    def taken(self) -> int:
        """Bytes that the system took, and so the caller, but for the system's own buffers."""
        return self._given - int(self._inner.get_write_buffer_size())
