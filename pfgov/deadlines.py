"""A deadline for a whole answer of the standard library's HTTP client: a timeout of a socket is for one read of it.

A server that is anybody's can send a byte now and then, interim answers without end, or trailers that never end, and
each read comes in time.  Here every read of an answer, of its head too, has only what is left.  This module does not
know what is asked, nor of whom.
"""

import http.client
import io
import socket
import time
from typing import Any


class TimedConnection(http.client.HTTPConnection):
    """A connection whose ``due``, by the monotonic clock, ends the answers that are read from it."""

    due: float = float("inf")

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)

        def answer(sock: socket.socket, *rest: Any, **more: Any) -> http.client.HTTPResponse:
            reads: Any = _Timed(sock, self)
            return http.client.HTTPResponse(reads, *rest, **more)

        made: Any = answer
        self.response_class = made
        self._create_connection = self._connected

    def _connected(
        self, address: tuple[str, int], timeout: Any = None, source_address: Any = None
    ) -> socket.socket:
        """Connect to the first of the host's addresses that answers: all of them together have what is left."""
        error: OSError | None = None
        found: Any
        for *_, found in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            left = self.due - time.monotonic()
            if left <= 0:
                raise TimeoutError("too slow")
            seconds = timeout if left == float("inf") else left
            try:
                return socket.create_connection(found[:2], seconds, source_address)
            except OSError as failed:
                error = failed
        raise error or OSError(f"{address[0]} has no address")


class TimedSecureConnection(TimedConnection, http.client.HTTPSConnection):
    """The same over TLS."""


def timed(host: str, port: int | None, seconds: float, *, is_secure: bool) -> TimedConnection:
    """Return a connection to *host*, not made yet, on which everything together takes at most *seconds* from now."""
    kind = TimedSecureConnection if is_secure else TimedConnection
    connection = kind(host, port, timeout=seconds)
    connection.due = time.monotonic() + seconds
    return connection


class _Timed:
    """What an answer is made from: it only asks for a file to read."""

    def __init__(self, sock: socket.socket, of: TimedConnection) -> None:
        self._sock, self._of = sock, of

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reads(self._sock, self._of))


class _Reads(io.RawIOBase):
    def __init__(self, sock: socket.socket, of: TimedConnection) -> None:
        self._sock, self._of = sock, of
        self._file: io.RawIOBase = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._of.due - time.monotonic()
        if left <= 0:
            raise TimeoutError("too slow")
        self._sock.settimeout(None if left == float("inf") else left)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()
