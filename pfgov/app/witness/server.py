"""The witness over HTTP: one request, one path, from the standard library.

It is made for a few logs that ask every few seconds.  A request has a length, a bound and a deadline; whatever is
framed in a way that two readers could understand differently ends the connection.  TLS is a proxy's business.
"""

import errno
import logging
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from pfgov.app.witness.book import Book
from pfgov.errors import PfgovError
from pfgov_ledger import witness
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.witness import RefusedError

SECONDS: Final = 10.0
"""How long one read or write of a connection may take."""

CONNECTION_SECONDS: Final = 60.0
"""How long a connection may last: one that asks now and then opens another, and one that trickles keeps no place."""

CONNECTIONS_MAX: Final = 64

EXHAUSTED_SECONDS: Final = 0.1
"""For how long no connection is taken where there is no descriptor or no memory for one."""

_EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

log = logging.getLogger("pfgov.witness")


class WitnessServer(ThreadingHTTPServer):
    """A server for the witness in *book*; ``serve_forever`` and ``shutdown`` as in the standard library."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], book: Book) -> None:
        """Take the address.

        Raises:
            OSError: it is taken, or not this machine's.
        """
        self.book = book
        self.places = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._since: dict[socket.socket, float] = {}
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; where that cannot be, not again at once: it waits, and so does whoever asked."""
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                time.sleep(EXHAUSTED_SECONDS)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread, unless there are too many."""
        if not self.places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        self._since[request] = time.monotonic()
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread can be had: nobody else makes room again
            self._leave(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve it, then make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._leave(request)

    def _leave(self, request: Any) -> None:
        self._since.pop(request, None)
        self.places.release()

    def service_actions(self) -> None:
        """End connections that have lasted long enough; called now and then, and after each new one."""
        before = time.monotonic() - CONNECTION_SECONDS
        for request, since in tuple(self._since.items()):
            if since < before:
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the library's signature
        """A connection that breaks off is the other side's business."""
        log.debug("a connection from %s ended early", client_address)


class _Handler(BaseHTTPRequestHandler):
    server: WitnessServer  # pyright: ignore[reportIncompatibleVariableOverride] (it is made by no other)
    protocol_version = "HTTP/1.1"
    server_version = "pfgov-witness"
    sys_version = ""
    timeout = SECONDS

    def parse_request(self) -> bool:
        """Read the head; one that another reader could understand differently is refused, and ends the connection.

        The library takes what follows a header that it cannot read for no headers.
        """
        if not super().parse_request():
            return False
        if self.headers.defects or self.headers.get_payload():
            self.close_connection = True
            self._answer(400, b"the headers cannot be read\n")
            return False
        return True

    def do_POST(self) -> None:
        """``add-checkpoint``."""
        raw = self._body()
        if raw is None:
            return
        try:
            line = self.server.book.add(raw)
        except RefusedError as refused:
            if refused.known is not None:
                self._answer(refused.status, f"{refused.known}\n".encode(), witness.SIZE_TYPE)
            else:
                self._answer(refused.status, f"{refused}\n".encode())
        except (PfgovError, LedgerError) as error:
            log.error("cannot cosign: %s", error)  # noqa: TRY400 - it is said, and not our bug
            self._answer(500, b"this witness cannot keep what it would vouch for\n")
        else:
            self._answer(200, line)

    def do_GET(self) -> None:
        """Say who this is, for people.  A body is not read: what comes after it is no request of this connection."""
        if {"content-length", "transfer-encoding"} & {name.lower() for name in self.headers}:
            self.close_connection = True
        if self.path == "/":
            self._answer(200, f"{self.server.book.vkey}\n".encode())
        else:
            self._answer(404, b"POST /add-checkpoint\n")

    def _body(self) -> bytes | None:
        """Read the body of a request for the one path there is; answer and return None where it is another."""
        lengths = self.headers.get_all("Content-Length", [])
        length = lengths[0] if len(lengths) == 1 else ""
        if self.headers.get("Transfer-Encoding") is not None or not (
            length.isascii() and length.isdigit()
        ):
            self.close_connection = True
            self._answer(411, b"one Content-Length is needed\n")
        elif self.path != f"/{witness.PATH}":
            self.close_connection = True
            self._answer(404, b"POST /add-checkpoint\n")
        elif len(length) > 9 or int(length) > witness.SUBMISSION_BYTES_MAX:
            self.close_connection = True
            self._answer(413, f"at most {witness.SUBMISSION_BYTES_MAX} bytes\n".encode())
        else:
            return self.rfile.read(int(length))
        return None

    def _answer(
        self, status: int, body: bytes, media_type: str = "text/plain; charset=utf-8"
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Log as everything else does."""
        log.info(format, *args)
