"""The command line against a server: the real application behind a real socket, in a thread of this process.

Nothing ticks by itself, so that a story over a server and over a folder can be set side by side.  What is not a pfgov
server is played by :func:`answering`, a socket that says one thing to whoever asks.
"""

import asyncio
import json
import re
import socketserver
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import uvicorn

from pfgov import __version__
from pfgov.cli import run
from pfgov.engine import Engine
from pfgov.engine.options import Options
from pfgov.storage import open_store
from pfgov_api.app import application
from pfgov_api.keyring import FILE, KeyRing
from pfgov_api.named import Named
from pfgov_api.routes import OPERATIONS
from pfgov_api.service import Service
from support.api_process import free_port
from support.commandline import CommandLine, Said

WORKS = ("--workload", "w")


class Served:
    """The ledger in a folder, served."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.engine = Engine.open(open_store(directory), options=Options(fresh_leases=False))
        self.keyring = KeyRing(directory / FILE)
        self.service = Service(self.engine, self.keyring)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app(),
                port=self.port,
                lifespan="off",
                log_config=None,
                ws="none",
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def _app(self) -> Any:
        """What answers."""
        return application(self.service)

    def __enter__(self) -> Self:
        self._thread.start()
        waiting = threading.Event()
        while not self._server.started:
            assert self._thread.is_alive()
            waiting.wait(0.01)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self.service.trials.kill()
        self.service.simulations.kill()
        self.engine.close()


class ServedBeside(Served):
    """The ledger in a folder, served under its name beside another one."""

    def __init__(self, directory: Path) -> None:
        default = directory.parent.parent / "default"
        Engine.create(open_store(default), "pfgov.test/default").close()
        self.folder = directory.parent
        super().__init__(default)
        self.directory = directory
        self.url = f"{self.url}/l/{directory.name}"

    def _app(self) -> Any:
        named = self.service.named = Named(
            self.folder,
            OPERATIONS,
            default=self.service,
            check=lambda _engine, _keyring: None,
            tick_seconds=3_600,
        )
        asyncio.run(named.keeper.scan())
        for place in named.keeper.places.values():
            place.was_open = True  # leases stand, as over a folder
        return application(self.service)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        assert self.service.named is not None
        asyncio.run(self.service.named.keeper.stop())


class RemoteLine(CommandLine):
    """``pfgov`` over one server, in this process."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(Path("nowhere"), capsys)
        self.url = url

    def __call__(self, *arguments: object) -> Said:
        """Run a command line."""
        self._capsys.readouterr()
        status = run(["--url", self.url, *map(str, arguments)])
        out, err = self._capsys.readouterr()
        return Said(status, out, err)


@contextmanager
def answering(
    say: Callable[[bytes], bytes | None], *, tls: ssl.SSLContext | None = None
) -> Generator[str]:
    """Give the URL of a server that answers each request with what *say* returns; None hangs up."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            raw = b""
            while not _is_whole(raw):
                piece = self.request.recv(65_536)
                if not piece:
                    return
                raw += piece
            answer = say(raw)
            if answer is not None:
                self.request.sendall(answer)

    class Listener(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

        def get_request(self) -> Any:
            connection, address = super().get_request()
            if tls is None:
                return connection, address
            return tls.wrap_socket(connection, server_side=True), address

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing: a client that does not trust the certificate hangs up."""

    with Listener(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            scheme = "http" if tls is None else "https"
            yield f"{scheme}://localhost:{server.server_address[1]}"
        finally:
            server.shutdown()


def _is_whole(raw: bytes) -> bool:
    """Whether *raw* is a request to its end."""
    head, end, body = raw.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


def reply(status: int, body: bytes, media: str = "application/json", headers: str = "") -> bytes:
    """Return the bytes of an answer."""
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n{headers}\r\n"
    )
    return head.encode() + body


GREETS = b"/api/health/live"
"""What the command line asks first."""
LIVE = reply(200, json.dumps({"status": "live", "version": __version__}).encode())
"""What a pfgov of this version answers to it."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{16}\.\.\.")
_DRAWN = re.compile(r"\b[0-9A-Z]{26}\b")
_ELSEWHERE = frozenset(
    {
        "anchor", "checkpoint", "deadline", "directory", "expires_at", "file", "path", "proof", "request_id",
        "since", "lease_until", "url", "verify", "rows",
    }
)  # fmt: skip
"""What may differ between a folder and a server: where they are, when it was, what was signed."""


def alike(value: Any) -> Any:
    """Return a JSON value without what differs between two ledgers with the same history."""
    if isinstance(value, dict):
        return {
            # of outcomes that lie some seconds further apart than on the other side
            name: round(one, 3) if name == "reliability" else alike(one)
            for name, one in value.items()
            if name not in _ELSEWHERE and not (name == "id" and "do" in value)
        }
    if isinstance(value, list):
        return [alike(one) for one in value]
    if isinstance(value, str):
        return _DRAWN.sub("ID", _DIGEST.sub("DIGEST", _TIME.sub("TIME", value)))
    return "TIME" if isinstance(value, int) and value > 10**15 and value < 2 * 10**15 else value
