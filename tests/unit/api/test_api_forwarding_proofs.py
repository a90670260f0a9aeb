"""What a standby sends on goes to who proved, on that very connection, to be a server of the ledger."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import pytest
from support.roots import signer

from pfgov.errors import PfgovError, StandbyError
from pfgov.storage.leading import Standing
from pfgov_api.forwarding import Forwarder
from pfgov_api.proving import CHALLENGE, PROOF, proof

ORIGIN = "pfgov.test/one"
OURS, OTHERS = signer(ORIGIN), signer(ORIGIN, salt=9)
KEY = {"authorization": "Bearer pfgov_a_b"}


@dataclass(slots=True)
class Node:
    """A server that may be one of the ledger's, and what it was sent."""

    key: Any
    port: int = 0
    stays: bool = True
    challenges: int = 0
    keys: list[str] = field(default_factory=list[str])
    connections: dict[Any, Any] = field(default_factory=dict[Any, Any])
    server: Any = None

    def __enter__(self) -> Self:
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                node.connections[self.client_address] = self.connection
                self.rfile.read(int(self.headers.get("content-length", "0")))
                if "authorization" in self.headers:
                    node.keys.append(self.headers["authorization"])
                self.send_response(200)
                self.send_header("Content-Length", "2")
                if CHALLENGE in self.headers:
                    node.challenges += 1
                    said = proof(node.key, ORIGIN, node.address, self.headers[CHALLENGE])
                    self.send_header(PROOF, said)
                if not node.stays:
                    self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(b"{}")

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        for one in self.connections.values():  # as the kernel does for a process that has ended
            with suppress(OSError):
                one.shutdown(2)


class _Follower:
    origin = ORIGIN

    def __init__(self, leader: str) -> None:
        self.standing = Standing(3, 9, leader, is_free=False, is_draining=False)

    def refusal(self) -> StandbyError:
        """What is said to whoever wants to write."""
        return StandbyError("standby")


def _sending(leader: str, *acts: Callable[[], object]) -> list[Any]:
    """Send a request, and after each of *acts* another; return what came of each."""

    async def run() -> list[Any]:
        forwarder = Forwarder(_Follower(leader), lambda: [OURS])  # type: ignore[arg-type]
        found: list[Any] = []
        try:
            for act in (lambda: None, *acts):
                act()
                try:
                    reply = await forwarder.forward("POST", "/api/packets", KEY, b"{}")
                    found.append(reply.status)
                except PfgovError as error:
                    found.append(error)
        finally:
            forwarder.close()
        return found

    return asyncio.run(run())


def test_another_server_at_a_proved_address_is_sent_nothing() -> None:
    """A leader dies, and whoever has its port before its lease is over is sent everybody's keys."""
    with Node(OURS) as leader:
        stranger = Node(OTHERS, port=leader.port)

        def replace() -> None:
            leader.__exit__()
            stranger.__enter__()

        try:
            first, second, third = _sending(leader.address, replace, lambda: None)
        finally:
            stranger.__exit__()
    assert (first, leader.keys) == (200, [KEY["authorization"]])
    assert isinstance(second, PfgovError)
    assert isinstance(third, StandbyError)
    assert stranger.keys == []


@pytest.mark.parametrize("stays", [True, False])
def test_who_proved_once_is_asked_over_the_same_connection(*, stays: bool) -> None:
    """Each request has the log's key sign; or one goes over a connection on which nobody proved anything."""
    with Node(OURS, stays=stays) as leader:
        found = _sending(leader.address, *[lambda: None] * 3)
    if stays:
        assert (found, len(leader.keys)) == ([200] * 4, 4)
        assert (leader.challenges, len(leader.connections)) == (1, 1)
    else:
        assert all(isinstance(one, PfgovError) for one in found)
        assert leader.keys == []
