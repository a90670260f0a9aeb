"""Requests in the form that nearly every caller sends, read in one go, and answered in one write.

h11 takes a request apart line by line and validates an answer word by word.  Here a request that came whole, and in
which nothing could be read in two ways, is recognised by one expression; everything else is left to h11, untouched.
What is taken here is a part of what h11 takes, and the application gets the same of it (a test feeds both with the same
bytes).  An answer that needs framing, a stream above all, is handed to h11 with the request.  This
module knows no route.
"""

import re
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import h11
from uvicorn.protocols.http.h11_impl import RequestResponseCycle

from pfgov_api.limits import LARGE_BYTES
from pfgov_api.replies import WHOLE

SHORT_HEAD_BYTES: Final = 8_192
"""A head of more bytes is h11's."""

_VALUE: Final = r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?"
_HEAD: Final = re.compile(
    r"(GET|POST|PATCH) (/[A-Za-z0-9._:@~/-]*)(?:\?([A-Za-z0-9._:@~/&=+,-]*))? HTTP/1\.1\r\n"
    rf"((?:[A-Za-z0-9-]+: {_VALUE}\r\n)+)".encode()
)
"""A request line and headers that h11 reads as they stand: no percent, no obsolete spelling, nothing folded."""

_ANSWERED: Final = re.compile(rf"(?:[a-z0-9-]+: {_VALUE}\r\n)+".encode())
"""Headers of an answer that h11 would write as they stand."""

_HANDLED: Final = frozenset({b"expect", b"transfer-encoding", b"upgrade"})
"""Headers that change how a request is read."""

_LENGTH: Final = re.compile(rb"[0-9]{1,6}")

_STATUS_LINES: Final = {
    one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in HTTPStatus
}


class Plain(NamedTuple):
    """A request that came whole: the parts of its scope, and its body."""

    method: str
    path: str
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes


def plain_request(data: bytes) -> Plain | None:
    """Return the one request that *data* is, no byte less or more; None where it is anything else."""
    end = data.find(b"\r\n\r\n", 0, SHORT_HEAD_BYTES)
    found = _HEAD.fullmatch(data, 0, end + 2) if end > 0 else None
    if found is None:
        return None
    method, path, query, lines = found.groups()
    headers: list[tuple[bytes, bytes]] = []
    length, hosts = b"", 0
    for line in lines[:-2].split(b"\r\n"):
        sent, _, value = line.partition(b": ")
        name = sent.lower()
        if name == b"host":
            hosts += 1
        elif name == b"content-length":
            if length:
                return None
            length = value
        elif name in _HANDLED or (name == b"connection" and value.lower() != b"keep-alive"):
            return None
        headers.append((name, value.lstrip()))
    body = data[end + 4 :]
    if hosts != 1 or (length and _LENGTH.fullmatch(length) is None):
        return None
    if len(body) != int(length or b"0") or len(body) >= LARGE_BYTES:
        return None
    return Plain(method.decode(), path.decode(), query or b"", headers, body)


class PlainCycle(RequestResponseCycle):
    """One such request and its answer; h11 learns of them only when the answer needs it."""

    raw: bytes
    conn: Any
    is_handed_over = False

    def begin(self, raw: bytes, plain: Plain) -> None:
        """Take the request; *raw* is what h11 would have to read."""
        self.raw = raw
        self.body = bytearray(plain.body)
        self.more_body = False
        self.message_event.set()  # the body is here
        scope: Any = self.scope
        scope[WHOLE] = self.whole

    async def whole(self, status: int, headers: bytes, body: bytes) -> bool:
        """Send an answer in one write; False where it has to be sent in the ordinary way.

        Args:
            status: Its status.
            headers: Lines, each with its end; one of them says how long the body is.
            body: All of it.
        """
        if self.response_started or self.is_handed_over or not _ANSWERED.fullmatch(headers):
            return False
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return True
        self.response_started = self.response_complete = True
        first = b"".join(b"%b: %b\r\n" % one for one in self.default_headers)
        parts = (_STATUS_LINES[status], first, headers, b"\r\n", body)
        transport: Any = self.transport
        transport.send(b"".join(parts))
        self.message_event.set()
        if not self.keep_alive:
            self.conn.send(h11.ConnectionClosed())
            self.transport.close()
        self.on_response()
        return True

    async def send(self, message: Any) -> None:
        """Send a part of an answer through h11, which is given the request first."""
        if not self.is_handed_over and not self.disconnected:
            self.is_handed_over = True
            self.conn.receive_data(self.raw)
            while (
                self.conn.their_state is not h11.DONE
                and self.conn.next_event() is not h11.NEED_DATA
            ):
                pass
        await super().send(message)
