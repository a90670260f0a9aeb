"""A load of HTTP requests on a server, as light as can be: the generator shares the machine with what it loads."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

PACKET = {
    "workload_type": "scan",
    "required_capabilities": ["ocr"],
    "labels": {"team": "red"},
    "priority": 3,
}


def request_of(path: str, body: dict[str, Any], key: str | None = None) -> bytes:
    """Return a POST of *body* as it is sent, with an idempotency key if one is given."""
    sent = json.dumps(body).encode()
    more = "" if key is None else f"Idempotency-Key: {key}\r\n"
    length = f"{more}Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{length}".encode() + sent


Draw = Callable[[], bytes | None]
"""Gives the next request; None when there is nothing more to ask."""


class Client(asyncio.Protocol):
    """One client on one connection, as light as can be: the load generator shares the machine."""

    def __init__(self, draw: Draw, stop: float, found: "Found") -> None:
        self._draw = draw
        self._stop = stop
        self._found = found
        self._answer = b""
        self._sent = 0.0
        self.is_over = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the first time."""
        self._transport: Any = transport
        self._ask()

    def _ask(self) -> None:
        request = self._draw() if time.perf_counter() < self._stop else None
        if request is None:
            self.is_over = True
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Ask again when the answer is whole."""
        self._answer += data
        head, blank, rest = self._answer.partition(b"\r\n\r\n")
        if not blank:
            return
        at = head.lower().index(b"content-length: ") + 16
        if len(rest) < int(head[at : at + 12].split(b"\r\n", 1)[0]):
            return
        self._answer = b""
        self._found.note(int(head[9:12]), time.perf_counter() - self._sent)
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever is cut off in the middle of a request has no answer."""
        if not self.is_over and self._answer:
            self._found.note(0, 0.0)
        self.over.set_result(None)


class Found:
    """The latencies of what was accepted, and how often each status came; 0 is no answer."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.statuses: dict[int, int] = {}

    def note(self, status: int, seconds: float) -> None:
        """Count one answer."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if 200 <= status < 400:
            self.taken.append(seconds)


async def load(port: int, draw: Draw, clients: int, seconds: float) -> Found:
    """Ask for *seconds* from *clients* connections; one that the server closes is opened again."""
    found, stop = Found(), time.perf_counter() + seconds
    loop = asyncio.get_running_loop()

    async def client() -> None:
        while time.perf_counter() < stop:
            try:
                _, protocol = await loop.create_connection(
                    lambda: Client(draw, stop, found), "127.0.0.1", port
                )
            except OSError:
                found.note(0, 0.0)
                return
            await protocol.over
            if protocol.is_over:
                return

    await asyncio.gather(*(client() for _ in range(clients)))
    return found


def submitting(prefix: str) -> Draw:
    """Submit a packet, every time."""
    request = request_of(f"{prefix}/packets", PACKET)
    return lambda: request
