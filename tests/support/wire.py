"""A real server on a real socket in this process, and a socket to say to it what no client would."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Self

import uvicorn

from pfgov.room import Room
from pfgov_api.connections import bounded
from pfgov_api.limits import HEAD_BYTES_MAX
from support.api_server import Api

PATIENCE_SECONDS = 20


@contextlib.contextmanager
def listening(api: Api, *, room: int = 1_000, **seconds: float) -> Iterator[int]:
    """Serve *api* as ``pfgov serve`` does, with other limits of time; give the port."""
    config = uvicorn.Config(
        api.app, http=bounded(api.service.draw_id, room=Room(room), **seconds), ws="none", lifespan="off",
        access_log=False,
        log_config=None, server_header=False, proxy_headers=False, h11_max_incomplete_event_size=HEAD_BYTES_MAX,
    )  # fmt: skip
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))

        async def start() -> asyncio.Task[None]:
            running = asyncio.ensure_future(server._serve([listener]))
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
            return running

        async def stop(running: asyncio.Task[None]) -> None:
            server.should_exit = server.force_exit = True
            await running

        running = api.run(start())
        try:
            yield listener.getsockname()[1]
        finally:
            api.run(stop(running))


class Wire:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)

    def say(self, raw: bytes) -> Self:
        """Send bytes as they are; a server that hung up already is no failure."""
        with contextlib.suppress(OSError):
            self.socket.sendall(raw)
        return self

    def rest(self) -> bytes:
        """Everything until the server closes."""
        found = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while piece := self.socket.recv(65_536):
                found += piece
        return bytes(found)

    def until(self, text: bytes) -> bytes:
        """Everything until *text* has come."""
        found = bytearray()
        while text not in found:
            piece = self.socket.recv(65_536)
            assert piece, bytes(found)
            found += piece
        return bytes(found)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def asked(port: int, raw: bytes) -> bytes:
    """Everything that the server says to *raw* before it closes; the last request should ask it to."""
    with Wire(port) as wire:
        return wire.say(raw).rest()
